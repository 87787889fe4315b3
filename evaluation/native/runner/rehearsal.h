// A rehearsal: samples of launches that are too large to be run, on memory that is mapped but hardly used.
//
// Some threads of some blocks run, each sample for a while, and every access is checked for bounds. Nothing is known
// of what other blocks would have done, so no races, no missing values and no endless waiting are reported. What memory
// holds is made up: the parent believes a fault if it comes in the same way whatever that is, for then it comes from
// the sizes alone. What may be a mark in data (an index of -1, or one past the end) is not believed.
#pragma once
#include "machine.h"

namespace simt {

void rehearse(const Launch* launches, unsigned count);
[[noreturn]] void end_sample();  // from a thread or the scheduler: what comes after cannot be told
void need_whole_block();         // from a thread that does not work alone: at a warp operation, vote or atomic
extern uint16_t sample_number;

// memory.cpp
extern size_t touched_pages;  // of the buffers, by all samples

// scheduler.cpp: runs some threads of one block, as if the others had returned.
void run_sample(const Launch& launch, uint64_t block, bool (*chosen)(const Thread& thread));

}  // namespace simt
