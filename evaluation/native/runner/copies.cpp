// Until its thread waits for a copy, what is in the destination is nobody's value: to read it, to write it, or to change
// the source is a fault. The destination holds poison meanwhile, and the copy lands when the wait ends.
#include "copies.h"

#include <cstring>

#include "memory.h"
#include "shared.h"

namespace simt {

namespace {

constexpr uint32_t kMaxCopies = 1u << 17;  // in flight

struct Copy {
    uintptr_t to, from;
    uint8_t bytes, zeros;  // zeros: so many of the bytes, at the end, are not read but 0
    uint32_t batch;
    uint32_t next;  // of the same thread, or of those that are free
    uint8_t data[16];
};
Copy copies[kMaxCopies];  // the first is none
uint32_t used = 1, free_copies;

uint32_t take_copy() {
    if (!free_copies && used == kMaxCopies)
        finish("unsupported", "more than %u asynchronous copies are in flight", kMaxCopies - 1);
    if (!free_copies) return used++;
    const uint32_t taken = free_copies;
    free_copies = copies[taken].next;
    return taken;
}

void check_places(uintptr_t to, uintptr_t from, size_t bytes, size_t zeros) {
    if ((bytes != 4 && bytes != 8 && bytes != 16) || zeros > bytes)
        finish("fault", "an asynchronous copy of %zu bytes of which %zu are zeros; it takes 4, 8 or 16", bytes, zeros);
    if (to % bytes || from % bytes)
        finish("fault", "misaligned asynchronous copy: %zu bytes from an address that ends in 0x%02x to one in 0x%02x",
               bytes, (unsigned)(from & 255), (unsigned)(to & 255));
    if (!lies_in_shared(to)) finish("fault", "an asynchronous copy to what is no shared memory");
    if (!lies_in_a_buffer(from)) finish("fault", "an asynchronous copy from what is no global memory");
}

void land(const Copy& copy) {
    const size_t read = (size_t)(copy.bytes - copy.zeros);
    if (!is_unwritten(copy.to, copy.bytes))
        finish("fault", "shared memory was written while an asynchronous copy to it was in flight");
    __tsan_read_range((void*)copy.from, read);
    if (memcmp((void*)copy.from, copy.data, read))
        finish("fault", "the source of an asynchronous copy was written while the copy was in flight");
    __tsan_write_range((void*)copy.to, copy.bytes);
    memcpy((void*)copy.to, copy.data, copy.bytes);
}

}  // namespace

void forget_copies(Thread& thread) {
    if (thread.last_copy) {
        copies[thread.last_copy].next = free_copies;
        free_copies = thread.first_copy;
    }
    thread.first_copy = thread.last_copy = thread.batch = 0;
}

extern "C" {

// Whether there are asynchronous copies between such places.
bool simt_copies_async(const void* to, const void* from) {
    return lies_in_shared((uintptr_t)to) && lies_in_a_buffer((uintptr_t)from);
}

void simt_copy_async(void* to, const void* from, size_t bytes, size_t zeros) {
    check_places((uintptr_t)to, (uintptr_t)from, bytes, zeros);
    __tsan_read_range((void*)from, bytes - zeros);
    __tsan_write_range(to, bytes);
    Copy copy = {(uintptr_t)to, (uintptr_t)from, (uint8_t)bytes, (uint8_t)zeros, machine.current->batch, 0, {}};
    memcpy(copy.data, from, bytes - zeros);
    if (machine.rehearsing) {
        memcpy(to, copy.data, bytes);
        return;
    }
    await_write(copy.to, bytes);
    const uint32_t taken = take_copy();
    copies[taken] = copy;
    Thread& thread = *machine.current;
    (thread.last_copy ? copies[thread.last_copy].next : thread.first_copy) = taken;
    thread.last_copy = taken;
}

void simt_copy_commit() { machine.current->batch++; }

// All but the last `pending` batches that were committed land.
void simt_copy_wait(size_t pending) {
    Thread& thread = *machine.current;
    while (thread.first_copy && copies[thread.first_copy].batch + (pending < 8 ? pending : 8) < thread.batch) {
        const uint32_t landed = thread.first_copy;
        land(copies[landed]);
        thread.first_copy = copies[landed].next;
        if (landed == thread.last_copy) thread.first_copy = thread.last_copy = 0;
        copies[landed].next = free_copies;
        free_copies = landed;
    }
}

}  // extern "C"

}  // namespace simt
