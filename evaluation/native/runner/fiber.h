// Fibers: stacks that a CUDA thread runs on, switched by hand.
#pragma once
#include "machine.h"

namespace simt {

void map_stacks(unsigned count);
void free_all_stacks();  // also of threads that are never resumed
void expect_frames(size_t largest);  // of the candidate's functions, in bytes
void start_fiber(Thread& thread, void (*body)());   // gives the thread a stack
void enter_kernel();                                // from `body`: runs the kernel for the current thread
void pass_stack(Thread& done, Thread& next);        // `next` goes on where `done` has ended, and is current
Thread& resume_fiber(Thread& thread);  // from the scheduler; returns when a thread suspends or ends, and which
unsigned stacks_in_use();
void suspend_fiber(Thread& thread);  // from the thread, back to the scheduler

}  // namespace simt
