// Matrix operations of a warp: fragments in an order of the run's own, their memory, and their products.
#pragma once
#include "machine.h"

namespace simt {

// All lanes of a warp that are still running have come to a matrix operation: does it, or ends the run.
void meet_matrix(Thread* first, const Thread* end);

}  // namespace simt
