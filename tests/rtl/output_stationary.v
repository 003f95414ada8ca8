// Output stationary: each processing element keeps one sum. Rows of a enter from the left and rows of b from the
// top, each one edge later than its neighbour; finished sums leave upwards, one row an edge.


module os_element #(
    parameter A_BITS = 8, A_SIGNED = 1, B_BITS = 8, B_SIGNED = 1,
    SHIFT = 0, ROUNDING = 0, P_BITS = 16, P_SIGNED = 1, P_OVERFLOW = 0,
    ACC_BITS = 24, ACC_SIGNED = 1, ACC_OVERFLOW = 0
) (
    input clk,
    input reset,
    input a_valid, a_first, a_last,
    input [A_BITS-1:0] a,
    input b_valid,
    input [B_BITS-1:0] b,
    input drain_in_valid,
    input [ACC_BITS-1:0] drain_in,
    output reg right_valid, right_first, right_last,
    output reg [A_BITS-1:0] right,
    output reg down_valid,
    output reg [B_BITS-1:0] down,
    output reg drain_valid,
    output reg [ACC_BITS-1:0] drain,
    output reg mac, zero_a, zero_b, product_overflow, step_overflow, collision
);
  reg [ACC_BITS-1:0] acc;
  reg finished;

  wire [P_BITS-1:0] product;
  wire product_changed;
  multiplier #(
      .A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED), .SHIFT(SHIFT), .ROUNDING(ROUNDING),
      .BITS(P_BITS), .SIGNED(P_SIGNED), .OVERFLOW(P_OVERFLOW)
  ) times (a, b, product, product_changed);

  wire [ACC_BITS-1:0] total;
  wire total_changed;
  adder #(
      .ADDEND_BITS(P_BITS), .ADDEND_SIGNED(P_SIGNED), .BITS(ACC_BITS), .SIGNED(ACC_SIGNED), .OVERFLOW(ACC_OVERFLOW)
  ) plus (a_first ? {ACC_BITS{1'b0}} : acc, product, total, total_changed);

  wire active = a_valid & b_valid;

  always @(posedge clk) begin
    {right_valid, right_first, right_last, right} <= {a_valid & ~reset, a_first, a_last, a};
    {down_valid, down} <= {b_valid & ~reset, b};
    if (active) acc <= total;
    finished <= active & a_last & ~reset;
    drain <= finished ? acc : drain_in;
    drain_valid <= (finished | drain_in_valid) & ~reset;
    mac <= active;
    zero_a <= active & a == 0;
    zero_b <= active & b == 0;
    product_overflow <= active & product_changed;
    step_overflow <= active & total_changed;
    collision <= finished & drain_in_valid;
  end
endmodule

// Element (row, column) is bit row * C + column of the event vectors.
module os_array #(
    parameter R = 4, C = 4, A_BITS = 8, A_SIGNED = 1, B_BITS = 8, B_SIGNED = 1,
    SHIFT = 0, ROUNDING = 0, P_BITS = 16, P_SIGNED = 1, P_OVERFLOW = 0,
    ACC_BITS = 24, ACC_SIGNED = 1, ACC_OVERFLOW = 0
) (
    input clk,
    input reset,
    input [R-1:0] a_valid, a_first, a_last,
    input [R*A_BITS-1:0] a,
    input [C-1:0] b_valid,
    input [C*B_BITS-1:0] b,
    output [C-1:0] y_valid,
    output [C*ACC_BITS-1:0] y,
    output [R*C-1:0] mac, zero_a, zero_b, product_overflow, step_overflow, collision
);
  genvar i, j;
  generate
    for (i = 0; i < R; i = i + 1) begin : row
      for (j = 0; j < C; j = j + 1) begin : column
        wire left_valid, left_first, left_last, up_valid, right_valid, right_first, right_last, down_valid;
        wire drain_in_valid, drain_valid;
        wire [A_BITS-1:0] left, right;
        wire [B_BITS-1:0] up, down;
        wire [ACC_BITS-1:0] drain_in, drain;

        if (j == 0) begin : edge_a
          assign {left_valid, left_first, left_last} = {a_valid[i], a_first[i], a_last[i]};
          assign left = a[i*A_BITS+:A_BITS];
        end else begin : inner_a
          assign {left_valid, left_first, left_last} =
              {row[i].column[j-1].right_valid, row[i].column[j-1].right_first, row[i].column[j-1].right_last};
          assign left = row[i].column[j-1].right;
        end
        if (i == 0) begin : edge_b
          assign up_valid = b_valid[j];
          assign up = b[j*B_BITS+:B_BITS];
          assign y_valid[j] = drain_valid;
          assign y[j*ACC_BITS+:ACC_BITS] = drain;
        end else begin : inner_b
          assign up_valid = row[i-1].column[j].down_valid;
          assign up = row[i-1].column[j].down;
        end
        if (i == R - 1) begin : bottom
          assign drain_in_valid = 1'b0;
          assign drain_in = {ACC_BITS{1'b0}};
        end else begin : above_bottom
          assign drain_in_valid = row[i+1].column[j].drain_valid;
          assign drain_in = row[i+1].column[j].drain;
        end

        os_element #(
            .A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED),
            .SHIFT(SHIFT), .ROUNDING(ROUNDING), .P_BITS(P_BITS), .P_SIGNED(P_SIGNED), .P_OVERFLOW(P_OVERFLOW),
            .ACC_BITS(ACC_BITS), .ACC_SIGNED(ACC_SIGNED), .ACC_OVERFLOW(ACC_OVERFLOW)
        ) element (
            .clk(clk), .reset(reset),
            .a_valid(left_valid), .a_first(left_first), .a_last(left_last), .a(left), .b_valid(up_valid), .b(up),
            .drain_in_valid(drain_in_valid), .drain_in(drain_in),
            .right_valid(right_valid), .right_first(right_first), .right_last(right_last), .right(right),
            .down_valid(down_valid), .down(down), .drain_valid(drain_valid), .drain(drain),
            .mac(mac[i*C+j]), .zero_a(zero_a[i*C+j]), .zero_b(zero_b[i*C+j]),
            .product_overflow(product_overflow[i*C+j]), .step_overflow(step_overflow[i*C+j]),
            .collision(collision[i*C+j])
        );
      end
    end
  endgenerate
endmodule
