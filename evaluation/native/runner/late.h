// Stores that reach other blocks late: what a volatile read may still miss.
#pragma once
#include "machine.h"

namespace simt {

struct LateStore {
    uintptr_t address;
    Moment moment;
    uint8_t bytes;
    bool first;   // nobody had written there before
    bool looked;  // another thread has looked at it
    uint8_t before[16];
};

void note_store(uintptr_t address, size_t bytes, bool first);  // volatile or atomic, about to be done

// The store that a volatile read of these bytes, about to be done, may miss; null for none. No later read misses it.
const LateStore* missed_store(uintptr_t address, size_t bytes);

void show_before(const LateStore& store);  // to that read
void end_late_look();                      // it is done

}  // namespace simt
