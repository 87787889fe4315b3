// Shared memory: its variables, and what of it the block has written.
#pragma once
#include "memory.h"

namespace simt {

uintptr_t place_shared(const char* name, size_t bytes, size_t alignment);  // where a variable is to lie
size_t static_shared_bytes(const char* kernel);  // of the variables that the kernel may use
void put_shared_aside(unsigned resident);  // of a block in flight, while another one runs
void take_shared_back(unsigned resident);
void begin_shared();                             // a block begins: nobody has written anything
bool is_shared(uintptr_t address, size_t bytes, Access access);  // if so, the access is checked, or ends the run
bool lies_in_shared(uintptr_t address);
void await_write(uintptr_t address, size_t bytes);   // within a variable: nobody has written there again
bool is_unwritten(uintptr_t address, size_t bytes);  // since then

}  // namespace simt
