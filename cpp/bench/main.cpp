// Every microbenchmark on every instruction set of this machine, on one thread.
#include "bench/bench.hpp"
#include "kernels/parallel.hpp"

int main(int argc, char** argv) {
  fxsim::set_num_threads(1);
  for (const std::string& isa : fxsim::available_isas()) {
    if (isa == "reference") continue;  // scalar loops for tests: nobody waits for them
    fxsim::bench::add_peak(isa);
    fxsim::bench::add_gemm(isa);
    fxsim::bench::add_conv(isa);
    fxsim::bench::add_quantize(isa);
    fxsim::bench::add_philox(isa);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
