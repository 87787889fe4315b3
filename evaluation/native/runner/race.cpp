// Data races: two threads touch the same bytes, one of them writes, and nothing orders the two.
//
// What orders accesses: a block barrier within a block, a warp operation within a warp, a new launch. Across blocks,
// a block that has used an atomic on global memory is taken to have synchronised with all others (the usual "last
// block finishes" pattern), so some races across blocks are missed. Each word of 4 bytes remembers its last write
// and its last read only, so an older one may be forgotten; but what is reported is a race. Two plain writes are not
// reported: many correct kernels let all threads store the same value.
#include <sys/mman.h>

#include <initializer_list>

#include "memory.h"

namespace simt {

struct Mark {
    uint32_t epoch, warp_epoch;  // epoch 0: none yet
    uint16_t thread;
    uint8_t bytes;  // one bit for each of the word's four bytes
    bool atomic;
};

struct Word {
    Mark write, read;
};

namespace {

// Of outputs and scratch; a candidate may have 64 MiB of scratch. What lies beyond is not checked.
constexpr size_t kMaxRaceBytes = 72u << 20;
constexpr size_t kSharedWords = kMaxShared / 4;

Word shared_words[2 * kSharedWords];  // first the shared variables, then the dynamic shared memory

struct Place {
    const char* name;  // null for shared memory
    size_t offset;
};

bool conflicts(const Mark& earlier, unsigned bytes, bool global) {
    if (!(earlier.bytes & bytes)) return false;
    const Block& block = machine.block;
    const Thread& thread = *machine.current;
    if (earlier.epoch == block.epoch) {
        if (earlier.thread == thread.rank) return false;
        return machine.threads[earlier.thread].warp != thread.warp || earlier.warp_epoch >= thread.warp_epoch;
    }
    return global && earlier.epoch >= machine.launch_epoch && earlier.epoch < block.first_epoch && !block.synchronised;
}

[[noreturn]] void report(const Place& place, const Mark& earlier, const char* first, const char* second) {
    if (earlier.epoch != machine.block.epoch)
        finish("fault", "race across blocks at byte %zu of %s: this block %s what another block %s in the same launch",
               place.offset, place.name, second, first);
    finish("fault", "race at byte %zu of %s: thread %u %s it and thread %u %s it, with no barrier between",
           place.offset, place.name ? place.name : "shared memory", earlier.thread, first, machine.current->rank,
           second);
}

void check_word(Word& word, unsigned bytes, const Place& place, Access access) {
    const bool atomic = access == Access::kAtomic;
    const bool tolerated = word.write.atomic ? atomic : access == Access::kWrite;
    if (!tolerated && conflicts(word.write, bytes, place.name))
        report(place, word.write, "writes", access == Access::kRead ? "reads" : "writes");
    if (access != Access::kRead && !(atomic && word.read.atomic) && conflicts(word.read, bytes, place.name))
        report(place, word.read, "reads", "writes");
    const Thread& thread = *machine.current;
    Mark& mark = access == Access::kRead ? word.read : word.write;
    mark = {machine.block.epoch, thread.warp_epoch, (uint16_t)thread.rank, (uint8_t)bytes, atomic};
}

void check_words(Word* words, const char* name, size_t offset, size_t bytes, Access access) {
    for (size_t word = offset / 4; word <= (offset + bytes - 1) / 4; word++) {
        const size_t first = word * 4 < offset ? offset - word * 4 : 0;
        const size_t end = offset + bytes - word * 4 < 4 ? offset + bytes - word * 4 : 4;
        check_word(words[word], (1u << end) - (1u << first), {name, word * 4 + first}, access);
    }
}

size_t words_of(const Buffer& buffer) { return (buffer.bytes + 3) / 4; }

// Room for `words`, or for as many as fit into the memory limit.
Word* map_words(size_t& words) {
    for (; words; words /= 2) {
        void* area = mmap(nullptr, words * sizeof(Word), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (area != MAP_FAILED) return (Word*)area;
    }
    return nullptr;
}

}  // namespace

// Outputs come first: they are the smaller, and a candidate chooses only the size of its scratch.
void map_race_words(Buffer* buffers, unsigned count) {
    size_t left = 0;
    for (unsigned i = 0; i < count; i++)
        if (buffers[i].role != Role::kInput) left += words_of(buffers[i]);
    if (left > kMaxRaceBytes / 4) left = kMaxRaceBytes / 4;
    Word* next = map_words(left);
    for (Role role : {Role::kOutput, Role::kScratch}) {
        for (unsigned i = 0; i < count; i++) {
            if (buffers[i].role != role) continue;
            const size_t words = words_of(buffers[i]) < left ? words_of(buffers[i]) : left;
            buffers[i].words = next;
            buffers[i].raced_bytes = words * 4;
            next += words;
            left -= words;
        }
    }
}

void check_shared(uintptr_t address, size_t bytes, Access access) {
    const bool dynamic = address - kDynamicShared < kMaxShared;
    const size_t offset = address - (dynamic ? kDynamicShared : (uintptr_t)static_shared);
    check_words(shared_words + (dynamic ? kSharedWords : 0), nullptr, offset, bytes, access);
}

void check_global(const Buffer& buffer, size_t offset, size_t bytes, Access access) {
    check_words(buffer.words, buffer.name, offset, bytes, access);
    if (access == Access::kAtomic) machine.block.synchronised = true;
}

}  // namespace simt
