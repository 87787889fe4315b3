// Warp-level operations: when all lanes named in the mask have called, each gets its result.
#pragma once
#include "machine.h"

namespace simt {

enum Operation {  // the first of them are in the shim's warp.h, too
    kSync, kIndex, kUp, kDown, kXor, kBallot, kMatch, kAdd, kMin, kMax, kMinSigned, kMaxSigned, kAnd, kOr, kBitXor,
    kMatrixAccess, kMultiply
};

// Waits for the other lanes of the mask to come to the same operation; returns its result.
uint64_t join_warp(unsigned mask, int operation, uint64_t value, int argument, int width, uint64_t site);

bool converge(Thread* first, Thread* end);             // lets lanes at one __activemask() go on together
bool complete_warp_calls(Thread* first, Thread* end);  // completes one pending operation, if any can be

}  // namespace simt
