// Warp-level operations: when all lanes named in the mask have called, each gets its result.
#pragma once
#include "machine.h"

namespace simt {

bool converge(Thread* first, Thread* end);             // lets lanes at one __activemask() go on together
bool complete_warp_calls(Thread* first, Thread* end);  // completes one pending operation, if any can be

}  // namespace simt
