// Asynchronous copies from global to shared memory, which may land at any time before their thread waits for them.
#pragma once
#include "machine.h"

namespace simt {

void forget_copies(Thread& thread);  // it has ended and waits for none of them any more

}  // namespace simt
