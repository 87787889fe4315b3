// Turns a requested launch into one that can run: looks the kernel up, checks limits, converts arguments.
#pragma once
#include "request.h"

namespace simt {

void prepare_launch(const RequestedLaunch& requested, const Request& request, Launch& launch);

}  // namespace simt
