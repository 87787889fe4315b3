// Fibers: stacks that a CUDA thread runs on, switched by hand.
#pragma once
#include "machine.h"

namespace simt {

void map_stacks(unsigned count);
void refresh_stacks();  // when no thread has one: all of them hold poison again
void start_fiber(Thread& thread, void (*body)());  // gives the thread a stack
void release_stack(Thread& thread);
void resume_fiber(Thread& thread);   // from the scheduler; returns when the thread suspends or ends
void suspend_fiber(Thread& thread);  // from the thread, back to the scheduler

}  // namespace simt
