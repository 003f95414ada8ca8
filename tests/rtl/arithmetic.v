// Arithmetic of a processing element: the product register and the saturating or wrapping adder.
// Combinational. Registers hold BITS bits; "signed" says whether they are read as two's complement.

// How a dropped fraction decides; the numbers of parameter ROUNDING.
`define FLOOR 0
`define CEIL 1
`define ZERO 2
`define AWAY 3
`define NEAREST_UP 4
`define NEAREST_DOWN 5
`define NEAREST_ZERO 6
`define NEAREST_AWAY 7
`define NEAREST_EVEN 8
`define NEAREST_ODD 9

// What becomes of a value that the register does not hold; the numbers of parameter OVERFLOW.
`define SATURATE 0
`define SATURATE_SYMMETRIC 1
`define SATURATE_ZERO 2
`define WRAP 3

// A whole number of WIDE bits, two's complement, brought into a register of BITS < WIDE bits.
// changed: the register does not hold the number.
module fit #(parameter WIDE = 16, BITS = 8, SIGNED = 1, OVERFLOW = `SATURATE) (
    input signed [WIDE-1:0] value,
    output reg [BITS-1:0] held,
    output changed
);
  localparam signed [WIDE-1:0] ONE = 1;
  localparam signed [WIDE-1:0] TOP = (ONE <<< (SIGNED ? BITS - 1 : BITS)) - ONE;
  localparam signed [WIDE-1:0] BOTTOM = SIGNED ? (OVERFLOW == `SATURATE_SYMMETRIC ? -TOP : -TOP - ONE) : {WIDE{1'b0}};

  wire above = value > TOP;
  wire below = value < BOTTOM;
  assign changed = above | below;

  always @* begin
    held = value[BITS-1:0];
    if (changed && OVERFLOW != `WRAP)
      held = OVERFLOW == `SATURATE_ZERO ? {BITS{1'b0}} : above ? TOP[BITS-1:0] : BOTTOM[BITS-1:0];
  end
endmodule

// a * b, SHIFT bits dropped by ROUNDING, in a register of BITS bits.
module multiplier #(
    parameter A_BITS = 8, A_SIGNED = 1, B_BITS = 8, B_SIGNED = 1,
    SHIFT = 0, ROUNDING = `NEAREST_EVEN, BITS = 16, SIGNED = 1, OVERFLOW = `SATURATE
) (
    input [A_BITS-1:0] a,
    input [B_BITS-1:0] b,
    output [BITS-1:0] product,
    output overflow
);
  localparam EXACT = A_BITS + B_BITS + 2;                    // one more bit each, so that both are signed
  localparam WIDE = (EXACT > BITS ? EXACT : BITS) + 2;       // and one for the carry of the rounding

  wire signed [A_BITS:0] a_value = {A_SIGNED ? a[A_BITS-1] : 1'b0, a};
  wire signed [B_BITS:0] b_value = {B_SIGNED ? b[B_BITS-1] : 1'b0, b};
  wire signed [WIDE-1:0] exact = a_value * b_value;
  wire signed [WIDE-1:0] floor = exact >>> SHIFT;
  wire [WIDE-1:0] dropped = exact - (floor <<< SHIFT);

  wire negative = exact < 0;
  wire odd = floor[0];
  wire any = |dropped;
  wire half = SHIFT > 0 ? |(dropped >> (SHIFT > 0 ? SHIFT - 1 : 0)) : 1'b0;              // dropped >= 1/2
  wire rest = SHIFT > 1 ? |(dropped << (WIDE - (SHIFT > 1 ? SHIFT - 1 : 1))) : 1'b0;     // neither 0 nor 1/2

  reg up;
  always @*
    case (ROUNDING)
      `CEIL: up = any;
      `ZERO: up = negative & any;
      `AWAY: up = ~negative & any;
      `NEAREST_UP: up = half;
      `NEAREST_DOWN: up = half & rest;
      `NEAREST_ZERO: up = half & (negative | rest);
      `NEAREST_AWAY: up = half & (~negative | rest);
      `NEAREST_EVEN: up = half & (odd | rest);
      `NEAREST_ODD: up = half & (~odd | rest);
      default: up = 1'b0;
    endcase

  wire signed [WIDE-1:0] rounded = floor + $signed({1'b0, up});
  fit #(.WIDE(WIDE), .BITS(BITS), .SIGNED(SIGNED), .OVERFLOW(OVERFLOW)) register (rounded, product, overflow);
endmodule

// sum + addend in a register of BITS bits.
module adder #(parameter ADDEND_BITS = 16, ADDEND_SIGNED = 1, BITS = 24, SIGNED = 1, OVERFLOW = `SATURATE) (
    input [BITS-1:0] sum,
    input [ADDEND_BITS-1:0] addend,
    output [BITS-1:0] total,
    output overflow
);
  localparam WIDE = (BITS > ADDEND_BITS ? BITS : ADDEND_BITS) + 3;

  wire signed [BITS:0] sum_value = {SIGNED ? sum[BITS-1] : 1'b0, sum};
  wire signed [ADDEND_BITS:0] addend_value = {ADDEND_SIGNED ? addend[ADDEND_BITS-1] : 1'b0, addend};
  wire signed [WIDE-1:0] exact = sum_value + addend_value;
  fit #(.WIDE(WIDE), .BITS(BITS), .SIGNED(SIGNED), .OVERFLOW(OVERFLOW)) register (exact, total, overflow);
endmodule
