// Weight stationary: each processing element keeps one weight, element (row k, column n) of b. Rows of a enter from
// the left; partial sums run down a column, starting at 0, through every row, into the column's accumulator below.
// Weights come from the top beside the number of the row they are for, row 0 first, and wait in a shadow register
// until the first word of the fold arrives from the left.


module ws_element #(
    parameter A_BITS = 8, A_SIGNED = 1, B_BITS = 8, B_SIGNED = 1,
    SHIFT = 0, ROUNDING = 0, P_BITS = 16, P_SIGNED = 1, P_OVERFLOW = 0,
    ACC_BITS = 24, ACC_SIGNED = 1, ACC_OVERFLOW = 0, ROW_BITS = 8
) (
    input clk,
    input reset,
    input a_valid, a_first,
    input [A_BITS-1:0] a,
    input b_valid, b_used,
    input [ROW_BITS-1:0] b_row,
    input [B_BITS-1:0] b,
    input sum_in_valid,
    input [ACC_BITS-1:0] sum_in,
    output reg right_valid, right_first,
    output reg [A_BITS-1:0] right,
    output reg down_valid, down_used,
    output reg [ROW_BITS-1:0] down_row,
    output reg [B_BITS-1:0] down,
    output reg sum_valid,
    output reg [ACC_BITS-1:0] sum,
    output reg mac, zero_a, zero_b, product_overflow, step_overflow
);
  reg shadow_used, kept_used;
  reg [B_BITS-1:0] shadow, kept;

  wire used = a_first ? shadow_used : kept_used;
  wire [B_BITS-1:0] weight = a_first ? shadow : kept;

  wire [P_BITS-1:0] product;
  wire product_changed;
  multiplier #(
      .A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED), .SHIFT(SHIFT), .ROUNDING(ROUNDING),
      .BITS(P_BITS), .SIGNED(P_SIGNED), .OVERFLOW(P_OVERFLOW)
  ) times (a, weight, product, product_changed);

  wire [ACC_BITS-1:0] total;
  wire total_changed;
  adder #(
      .ADDEND_BITS(P_BITS), .ADDEND_SIGNED(P_SIGNED), .BITS(ACC_BITS), .SIGNED(ACC_SIGNED), .OVERFLOW(ACC_OVERFLOW)
  ) plus (sum_in, product, total, total_changed);

  wire active = a_valid & used;

  always @(posedge clk) begin
    {right_valid, right_first, right} <= {a_valid & ~reset, a_first, a};
    {down_valid, down_used, down_row, down} <= {b_valid & ~reset, b_used, b_row - 1'b1, b};
    if (b_valid && b_row == 0) {shadow_used, shadow} <= {b_used, b};
    if (a_valid && a_first) {kept_used, kept} <= {shadow_used, shadow};
    sum <= active ? total : sum_in;
    sum_valid <= (active | sum_in_valid) & ~reset;
    mac <= active;
    zero_a <= active & a == 0;
    zero_b <= active & weight == 0;
    product_overflow <= active & product_changed;
    step_overflow <= active & total_changed;
  end
endmodule

// The partial sums of one column: ROWS words, each taken `folds` times; the last time it is a result.
module ws_accumulator #(parameter BITS = 24, SIGNED = 1, OVERFLOW = 0, DEPTH = 1024) (
    input clk,
    input reset,
    input [31:0] rows, folds,
    input sum_valid,
    input [BITS-1:0] sum,
    output reg stored, y_valid,
    output reg [BITS-1:0] y,
    output reg overflow
);
  reg [BITS-1:0] partial[0:DEPTH-1];
  reg [31:0] row, fold;

  wire [BITS-1:0] total;
  wire total_changed;
  adder #(
      .ADDEND_BITS(BITS), .ADDEND_SIGNED(SIGNED), .BITS(BITS), .SIGNED(SIGNED), .OVERFLOW(OVERFLOW)
  ) plus (fold == 0 ? {BITS{1'b0}} : partial[row], sum, total, total_changed);

  always @(posedge clk) begin
    stored <= sum_valid & ~reset;
    y_valid <= sum_valid & fold == folds - 1 & ~reset;
    y <= total;
    overflow <= sum_valid & total_changed & ~reset;
    if (reset) {row, fold} <= 64'b0;
    else if (sum_valid) begin
      partial[row] <= total;
      row <= row == rows - 1 ? 32'b0 : row + 1;
      if (row == rows - 1) fold <= fold == folds - 1 ? 32'b0 : fold + 1;
    end
  end
endmodule

// Element (row, column) is bit row * C + column of the event vectors.
module ws_array #(
    parameter R = 4, C = 4, A_BITS = 8, A_SIGNED = 1, B_BITS = 8, B_SIGNED = 1,
    SHIFT = 0, ROUNDING = 0, P_BITS = 16, P_SIGNED = 1, P_OVERFLOW = 0,
    ACC_BITS = 24, ACC_SIGNED = 1, ACC_OVERFLOW = 0, DEPTH = 1024, ROW_BITS = 8
) (
    input clk,
    input reset,
    input [31:0] rows, folds,
    input [R-1:0] a_valid, a_first,
    input [R*A_BITS-1:0] a,
    input [C-1:0] b_valid, b_used,
    input [C*ROW_BITS-1:0] b_row,
    input [C*B_BITS-1:0] b,
    output [C-1:0] stored, y_valid,
    output [C*ACC_BITS-1:0] y,
    output [R*C-1:0] mac, zero_a, zero_b, product_overflow, step_overflow,
    output [C-1:0] outer_overflow
);
  genvar i, j;
  generate
    for (i = 0; i < R; i = i + 1) begin : row
      for (j = 0; j < C; j = j + 1) begin : column
        wire left_valid, left_first, right_valid, right_first, up_valid, up_used, down_valid, down_used;
        wire sum_in_valid, sum_valid;
        wire [A_BITS-1:0] left, right;
        wire [B_BITS-1:0] up, down;
        wire [ROW_BITS-1:0] up_row, down_row;
        wire [ACC_BITS-1:0] sum_in, sum;

        if (j == 0) begin : edge_a
          assign {left_valid, left_first} = {a_valid[i], a_first[i]};
          assign left = a[i*A_BITS+:A_BITS];
        end else begin : inner_a
          assign {left_valid, left_first} = {row[i].column[j-1].right_valid, row[i].column[j-1].right_first};
          assign left = row[i].column[j-1].right;
        end
        if (i == 0) begin : edge_b
          assign {up_valid, up_used} = {b_valid[j], b_used[j]};
          assign up_row = b_row[j*ROW_BITS+:ROW_BITS];
          assign up = b[j*B_BITS+:B_BITS];
          assign sum_in_valid = 1'b0;
          assign sum_in = {ACC_BITS{1'b0}};
        end else begin : inner_b
          assign {up_valid, up_used} = {row[i-1].column[j].down_valid, row[i-1].column[j].down_used};
          assign up_row = row[i-1].column[j].down_row;
          assign up = row[i-1].column[j].down;
          assign sum_in_valid = row[i-1].column[j].sum_valid;
          assign sum_in = row[i-1].column[j].sum;
        end

        ws_element #(
            .A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED),
            .SHIFT(SHIFT), .ROUNDING(ROUNDING), .P_BITS(P_BITS), .P_SIGNED(P_SIGNED), .P_OVERFLOW(P_OVERFLOW),
            .ACC_BITS(ACC_BITS), .ACC_SIGNED(ACC_SIGNED), .ACC_OVERFLOW(ACC_OVERFLOW), .ROW_BITS(ROW_BITS)
        ) element (
            .clk(clk), .reset(reset), .a_valid(left_valid), .a_first(left_first), .a(left),
            .b_valid(up_valid), .b_used(up_used), .b_row(up_row), .b(up),
            .sum_in_valid(sum_in_valid), .sum_in(sum_in),
            .right_valid(right_valid), .right_first(right_first), .right(right),
            .down_valid(down_valid), .down_used(down_used), .down_row(down_row), .down(down),
            .sum_valid(sum_valid), .sum(sum),
            .mac(mac[i*C+j]), .zero_a(zero_a[i*C+j]), .zero_b(zero_b[i*C+j]),
            .product_overflow(product_overflow[i*C+j]), .step_overflow(step_overflow[i*C+j])
        );

        if (i == R - 1) begin : bottom
          ws_accumulator #(.BITS(ACC_BITS), .SIGNED(ACC_SIGNED), .OVERFLOW(ACC_OVERFLOW), .DEPTH(DEPTH)) accumulator (
              .clk(clk), .reset(reset), .rows(rows), .folds(folds), .sum_valid(sum_valid), .sum(sum),
              .stored(stored[j]), .y_valid(y_valid[j]), .y(y[j*ACC_BITS+:ACC_BITS]), .overflow(outer_overflow[j])
          );
        end
      end
    end
  endgenerate
endmodule
