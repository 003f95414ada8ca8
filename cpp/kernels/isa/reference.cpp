#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

Isa reference() {
  return {"reference", [] { return true; }, nullptr};
}

}  // namespace fxsim::isa
