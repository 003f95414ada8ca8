// Feeds GEMMs from golden vector files to an array, and writes what comes out and what was counted.
//
// +jobs=FILE has a line "PREFIX OUT M N K PERIOD" for each GEMM: operands are PREFIX.a.hex (M x K) and PREFIX.b.hex
// (K x N), row by row; M x N results go to OUT, a word a line. +counters=FILE gets a line for each:
//   macs zero_a zero_b zero product_overflows step_overflows outer_overflows collisions last_mac last_output
// The last two are clock edges, counted from 1, the edge after the first operand of the fold stood at the array.
// Folds start PERIOD edges apart, whether the array can take them so fast or not.

`include "arithmetic.v"
`include "output_stationary.v"
`include "weight_stationary.v"

module bench;
  parameter WEIGHT_STATIONARY = 0, R = 4, C = 4;
  parameter A_BITS = 8, A_SIGNED = 1, B_BITS = 8, B_SIGNED = 1;
  parameter SHIFT = 0, ROUNDING = 0, P_BITS = 16, P_SIGNED = 1, P_OVERFLOW = 0;
  parameter ACC_BITS = 24, ACC_SIGNED = 1, ACC_OVERFLOW = 0;
  parameter A_WORDS = 1024, B_WORDS = 1024, Y_WORDS = 1024, DEPTH = 1024;
  localparam ROW_BITS = 8;

  reg clk = 0, reset = 1;
  reg [A_BITS-1:0] a_words[0:A_WORDS-1];
  reg [B_BITS-1:0] b_words[0:B_WORDS-1];
  reg [ACC_BITS-1:0] y_words[0:Y_WORDS-1];

  int m, n, k, period, row_folds, column_folds, k_folds, folds;

  reg [R-1:0] a_valid, a_first, a_last;
  reg [R*A_BITS-1:0] a;
  reg [C-1:0] b_valid, b_used;
  reg [C*ROW_BITS-1:0] b_row;
  reg [C*B_BITS-1:0] b;
  wire [C-1:0] y_valid, stored, outer_overflow;
  wire [C*ACC_BITS-1:0] y;
  wire [R*C-1:0] mac, zero_a, zero_b, product_overflow, step_overflow, collision;

  generate
    if (WEIGHT_STATIONARY) begin : ws
      ws_array #(
          .R(R), .C(C), .A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED),
          .SHIFT(SHIFT), .ROUNDING(ROUNDING), .P_BITS(P_BITS), .P_SIGNED(P_SIGNED), .P_OVERFLOW(P_OVERFLOW),
          .ACC_BITS(ACC_BITS), .ACC_SIGNED(ACC_SIGNED), .ACC_OVERFLOW(ACC_OVERFLOW), .DEPTH(DEPTH), .ROW_BITS(ROW_BITS)
      ) dut (
          clk, reset, m, k_folds, a_valid, a_first, a, b_valid, b_used, b_row, b,
          stored, y_valid, y, mac, zero_a, zero_b, product_overflow, step_overflow, outer_overflow
      );
      assign collision = {R * C{1'b0}};
    end else begin : os
      os_array #(
          .R(R), .C(C), .A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED),
          .SHIFT(SHIFT), .ROUNDING(ROUNDING), .P_BITS(P_BITS), .P_SIGNED(P_SIGNED), .P_OVERFLOW(P_OVERFLOW),
          .ACC_BITS(ACC_BITS), .ACC_SIGNED(ACC_SIGNED), .ACC_OVERFLOW(ACC_OVERFLOW)
      ) dut (
          clk, reset, a_valid, a_first, a_last, a, b_valid, b, y_valid, y,
          mac, zero_a, zero_b, product_overflow, step_overflow, collision
      );
      assign stored = y_valid;
      assign outer_overflow = {C{1'b0}};
    end
  endgenerate

  // Where a wire that is `late` edges into the sequence of folds stands.
  reg begun;
  int fold, step, row, column, depth;

  task locate(input int late);
    begun = late >= 0;
    fold = late / period;
    step = late % period;
  endtask

  // What stands at the array's edges before clock edge number `now`. Rows of folds run fastest.
  task feed_os(input int now);
    for (int i = 0; i < R; i++) begin
      locate(now - 1 - i);
      row = fold % row_folds * R + i;
      a_valid[i] = begun && fold < folds && step < k && row < m;
      a_first[i] = step == 0;
      a_last[i] = step == k - 1;
      a[i*A_BITS+:A_BITS] = a_valid[i] ? a_words[row*k+step] : {A_BITS{1'bx}};
    end
    for (int j = 0; j < C; j++) begin
      locate(now - 1 - j);
      column = fold / row_folds * C + j;
      b_valid[j] = begun && fold < folds && step < k && column < n;
      b[j*B_BITS+:B_BITS] = b_valid[j] ? b_words[step*n+column] : {B_BITS{1'bx}};
    end
  endtask

  // The same; folds of k run fastest, and a fold's weights are loaded in the R edges before its first operand.
  task feed_ws(input int now);
    for (int i = 0; i < R; i++) begin
      locate(now - 1 - R - i);
      depth = fold % k_folds * R + i;
      a_valid[i] = begun && fold < folds && step < m && depth < k;
      a_first[i] = step == 0;
      a[i*A_BITS+:A_BITS] = a_valid[i] ? a_words[step*k+depth] : {A_BITS{1'bx}};
    end
    for (int j = 0; j < C; j++) begin
      locate(now - 1 - j);
      depth = fold % k_folds * R + step;
      column = fold / k_folds * C + j;
      b_valid[j] = begun && fold < folds && step < R;
      b_used[j] = depth < k && column < n;
      b_row[j*ROW_BITS+:ROW_BITS] = step;
      b[j*B_BITS+:B_BITS] = b_valid[j] && b_used[j] ? b_words[depth*n+column] : {B_BITS{1'bx}};
    end
  endtask

  int taken[0:C-1];

  // A column gives all M results of a matrix column, then those of the one C further.
  task take_outputs;
    for (int j = 0; j < C; j++)
      if (y_valid[j]) begin
        row = taken[j] % m;
        column = taken[j] / m * C + j;
        if (column < n) y_words[row*n+column] = y[j*ACC_BITS+:ACC_BITS];
        taken[j]++;
      end
  endtask

  task tick;
    #1 clk = 1;
    #1 clk = 0;
  endtask

  int macs, zeros_a, zeros_b, zeros, product_overflows, step_overflows, outer_overflows, collisions;
  int last_mac, last_output;

  task run;
    {macs, zeros_a, zeros_b, zeros, product_overflows, step_overflows, outer_overflows, collisions} = 0;
    {last_mac, last_output} = 0;
    row_folds = (m + R - 1) / R;
    column_folds = (n + C - 1) / C;
    k_folds = (k + R - 1) / R;
    folds = column_folds * (WEIGHT_STATIONARY ? k_folds : row_folds);
    for (int j = 0; j < C; j++) taken[j] = 0;
    for (int i = 0; i < m * n; i++) y_words[i] = {ACC_BITS{1'bx}};
    {a_valid, b_valid} = 0;
    reset = 1;
    repeat (R + C) tick;
    reset = 0;
    for (int now = 1; now <= (folds - 1) * period + (WEIGHT_STATIONARY ? m : k) + 3 * (R + C) + 2; now++) begin
      if (WEIGHT_STATIONARY) feed_ws(now);
      else feed_os(now);
      tick;
      if (|mac) last_mac = now;
      if (|stored) last_output = now;
      macs += $countones(mac);
      zeros_a += $countones(zero_a);
      zeros_b += $countones(zero_b);
      zeros += $countones(zero_a | zero_b);
      product_overflows += $countones(product_overflow);
      step_overflows += $countones(step_overflow);
      outer_overflows += $countones(outer_overflow);
      collisions += $countones(collision);
      take_outputs;
    end
  endtask

  string jobs_path, counters_path, prefix, out_path;
  int jobs, counters, out;

  initial begin
    if (!$value$plusargs("jobs=%s", jobs_path) || !$value$plusargs("counters=%s", counters_path))
      $fatal(1, "give +jobs=FILE and +counters=FILE");
    jobs = $fopen(jobs_path, "r");
    counters = $fopen(counters_path, "w");
    while ($fscanf(jobs, "%s %s %d %d %d %d", prefix, out_path, m, n, k, period) == 6) begin
      $readmemh({prefix, ".a.hex"}, a_words, 0, m * k - 1);
      $readmemh({prefix, ".b.hex"}, b_words, 0, k * n - 1);
      run;
      out = $fopen(out_path, "w");
      for (int i = 0; i < m * n; i++) $fdisplay(out, "%h", y_words[i]);
      $fclose(out);
      $fdisplay(counters, "%0d %0d %0d %0d %0d %0d %0d %0d %0d %0d", macs, zeros_a, zeros_b, zeros, product_overflows,
                step_overflows, outer_overflows, collisions, last_mac, last_output);
    end
    $finish(0);
  end
endmodule
