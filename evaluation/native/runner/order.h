// What happens before what, as CUDA promises it: barriers, warp operations, and fences with atomics or flags.
#pragma once
#include "machine.h"

namespace simt {

// Threads of the run: which block (modulo 2^21), then the rank within it.
constexpr unsigned kRankBits = 10;

inline bool same_block(uint32_t a, uint32_t b) { return a >> kRankBits == b >> kRankBits; }
inline bool same_warp(uint32_t a, uint32_t b) { return a / kWarpSize == b / kWarpSize; }

void map_clocks();
bool ordered(const Moment& earlier);  // whether it happened before what the current thread does now
bool read_before(const Moment& earlier);  // the same of a read
void meet_block();                    // all threads of the block are at a barrier
void meet_lanes(Thread* first, Thread* end, unsigned lanes);  // some lanes of a warp synchronise

// An atomic or volatile access of a word: a load acquires what the store released, which is what the storing thread
// knew at its last fence.
void acquire(uintptr_t word, bool shared);
void release(uintptr_t word, bool shared, bool keep);  // keep: after what others have released there

}  // namespace simt
