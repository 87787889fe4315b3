// Data races in shared memory: two threads of a block touch the same bytes, one of them writes, and no barrier
// (or, within a warp, no warp operation) lies between.
//
// Each word remembers its last write and its last read. An older access to other bytes of the word may be
// forgotten, so a race can be missed, but what is reported is one. Two plain writes are not reported: many
// correct kernels let all threads store the same value.
#include "memory.h"

namespace simt {

namespace {

struct Mark {
    uint32_t block_epoch, warp_epoch;
    uint16_t thread;
    uint8_t bytes;  // one bit for each of the word's four bytes
    bool atomic;
};

struct Word {
    Mark write, read;
};

Word words[2 * kMaxShared / 4];  // first the shared variables, then the dynamic shared memory

bool conflicts(const Mark& earlier, const Thread& thread, unsigned bytes) {
    if (earlier.block_epoch != machine.block.epoch || !(earlier.bytes & bytes) || earlier.thread == thread.rank)
        return false;
    const Thread& other = machine.threads[earlier.thread];
    return other.warp != thread.warp || earlier.warp_epoch >= thread.warp_epoch;
}

void check_word(Word& word, unsigned bytes, size_t offset, Access access) {
    const Thread& thread = *machine.current;
    const bool atomic = access == Access::kAtomic;
    const bool plain_write = access == Access::kWrite;
    if (!(atomic && word.write.atomic) && !(plain_write && !word.write.atomic) && conflicts(word.write, thread, bytes))
        finish("fault", "race in shared memory at byte %zu: thread %u %s it and thread %u %s it, "
               "with no barrier between", offset, word.write.thread, word.write.atomic ? "atomically updates" : "writes", thread.rank,
               access == Access::kRead ? "reads" : "writes");
    if (access != Access::kRead && !(atomic && word.read.atomic) && conflicts(word.read, thread, bytes))
        finish("fault", "race in shared memory at byte %zu: thread %u reads it and thread %u writes it, "
               "with no barrier between", offset, word.read.thread, thread.rank);
    Mark& mark = access == Access::kRead ? word.read : word.write;
    mark = {machine.block.epoch, thread.warp_epoch, (uint16_t)thread.rank, (uint8_t)bytes, atomic};
}

}  // namespace

void check_shared(uintptr_t address, size_t bytes, Access access) {
    const bool dynamic = address - kDynamicShared < kMaxShared;
    const size_t offset = address - (dynamic ? kDynamicShared : (uintptr_t)static_shared);
    Word* const region = words + (dynamic ? kMaxShared / 4 : 0);
    for (size_t word = offset / 4; word <= (offset + bytes - 1) / 4; word++) {
        const size_t first = word * 4 < offset ? offset - word * 4 : 0;
        const size_t end = offset + bytes - word * 4 < 4 ? offset + bytes - word * 4 : 4;
        check_word(region[word], (1u << end) - (1u << first), word * 4 + first, access);
    }
}

}  // namespace simt
