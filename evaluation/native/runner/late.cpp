// A volatile store, or an atomic, reaches all blocks at once in this machine. On a GPU a thread of another block may
// read the old value for a while unless fences order the two: harmless to who waits for a flag and looks again, and
// wrong for data, such as the partial sums that the last block adds up. So the first look of another block at such a
// store may miss it; later ones do not, which keeps what threads see of one word in order.
#include "late.h"

#include <cstring>

#include "order.h"

namespace simt {

namespace {

constexpr unsigned kLateBits = 16;  // a store may take the place of another one, which is late no more

LateStore late[1u << kLateBits];

// The memory that shows old contents to one read, and what it really holds.
struct {
    uintptr_t address;
    size_t bytes;  // 0: none
    uint8_t real[16];
} shown;

LateStore& late_at(uintptr_t address) { return late[(address >> 2) * 0x9e3779b97f4a7c15 >> (64 - kLateBits)]; }

}  // namespace

void note_store(uintptr_t address, size_t bytes, bool first) {
    LateStore& store = late_at(address);
    store = {address, {machine.now, machine.current->id}, (uint8_t)bytes, first, false, {}};
    memcpy(store.before, (const void*)address, bytes);
}

const LateStore* missed_store(uintptr_t address, size_t bytes) {
    LateStore& store = late_at(address);
    const uint32_t own = machine.current->id, writer = store.moment.thread;
    if (store.address != address || store.looked || writer == own) return nullptr;
    store.looked = true;
    return store.bytes == bytes && !same_block(writer, own) && !ordered(store.moment) ? &store : nullptr;
}

void show_before(const LateStore& store) {
    shown = {store.address, store.bytes, {}};
    memcpy(shown.real, (const void*)shown.address, shown.bytes);
    memcpy((void*)shown.address, store.before, shown.bytes);
    machine.alarm = machine.steps;
}

void end_late_look() {
    if (!shown.bytes) return;
    memcpy((void*)shown.address, shown.real, shown.bytes);
    shown.bytes = 0;
}

}  // namespace simt
