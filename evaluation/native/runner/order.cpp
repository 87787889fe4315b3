// Vector clocks, kept small. All threads run in one process, so there is one time for all, and "has seen thread t up
// to time 7" is one entry of a clock. Barriers within a block and meetings of lanes, which nearly every kernel uses and
// nothing else, are kept as times in `Block` and `Thread`; only fences make clocks. A clock is an immutable map (a
// Patricia tree), so that taking one over from another thread costs a pointer, and joining two costs their difference.
#include "order.h"

#include <sys/mman.h>

namespace simt {

struct Clock {
    uint32_t key;     // of a leaf; of a branch the bits above `bit`, the others 0
    uint32_t bit;     // of a branch, what its sides differ in; 0 for a leaf
    uint32_t time;    // of a leaf
    const Clock *low, *high;
};

namespace {

constexpr size_t kMaxClocks = 2u << 20;
constexpr size_t kMaxReleases = 1u << 18;
constexpr uint32_t kWholeBlock = 1u << 31;  // keys with it: all threads of a block

struct Release {
    uintptr_t word;  // 0: none
    uint32_t epoch;  // of the launch, or for shared memory of the block
    const Clock* clock;
};

Clock* clocks;
Release* releases;
size_t clock_count, release_count;
bool lost;  // there were more than can be kept: everything counts as ordered

uint32_t block_key(uint32_t thread) { return kWholeBlock | thread >> kRankBits; }

const Clock* make(const Clock& value) {
    machine.steps++;
    if (clock_count == kMaxClocks) {
        lost = true;
        return nullptr;
    }
    clocks[clock_count] = value;
    return &clocks[clock_count++];
}

const Clock* leaf(uint32_t key, uint32_t time) { return make({key, 0, time, nullptr, nullptr}); }

const Clock* branch(uint32_t bit, const Clock* low, const Clock* high) {
    return make({low->key & ~(bit | (bit - 1)), bit, 0, low, high});
}

// Whether `key` belongs below the branch.
bool covers(const Clock* branch, uint32_t key) {
    return (key & ~(branch->bit | (branch->bit - 1))) == branch->key;
}

const Clock* with_sides(const Clock* of, const Clock* low, const Clock* high) {
    return low == of->low && high == of->high ? of : low && high ? branch(of->bit, low, high) : nullptr;
}

const Clock* join(const Clock* a, const Clock* b) {
    if (a == b || !b) return a;
    if (!a) return b;
    if (a->bit < b->bit) {
        const Clock* other = a;
        a = b;
        b = other;
    }
    if (!a->bit && a->key == b->key) return a->time >= b->time ? a : b;
    if (a->bit && covers(a, b->key)) {
        if (a->bit == b->bit) return with_sides(a, join(a->low, b->low), join(a->high, b->high));
        return b->key & a->bit ? with_sides(a, a->low, join(a->high, b)) : with_sides(a, join(a->low, b), a->high);
    }
    const uint32_t bit = 1u << (31 - __builtin_clz(a->key ^ b->key));
    return a->key & bit ? branch(bit, b, a) : branch(bit, a, b);
}

uint32_t time_of(const Clock* clock, uint32_t key) {
    while (clock && clock->bit) clock = key & clock->bit ? clock->high : clock->low;
    return clock && clock->key == key ? clock->time : 0;
}

uintptr_t key_of(uintptr_t word, bool shared) {
    return shared ? word ^ (uintptr_t)(machine.resident + 1) << 48 : word;
}

uint32_t epoch_of(bool shared) { return shared ? machine.block.begin : machine.launch_begin; }

// Where a word is, or belongs.
Release& place_of(uintptr_t key) {
    size_t at = (key >> 2) * 0x9e3779b97f4a7c15 >> 46;
    while (releases[at].word && releases[at].word != key) at = (at + 1) % kMaxReleases;
    return releases[at];
}

// Lets some threads know what each of them does.
template <class Among> void share_knowledge(Thread* first, Thread* end, Among among) {
    if (!clock_count) return;
    Knowledge all = {};
    for (const Thread* thread = first; thread < end; thread++) {
        if (!among(*thread)) continue;
        all.seen = join(all.seen, thread->knowledge.seen);
        all.fenced = join(all.fenced, thread->knowledge.fenced);
        all.fenced_in_block = join(all.fenced_in_block, thread->knowledge.fenced_in_block);
    }
    for (Thread* thread = first; thread < end; thread++)
        if (among(*thread)) thread->knowledge = all;
}

}  // namespace

void map_clocks() {
    void* area = mmap(nullptr, kMaxClocks * sizeof(Clock) + kMaxReleases * sizeof(Release), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) finish("unsupported", "the runner could not map its clocks");
    clocks = (Clock*)area;
    releases = (Release*)(clocks + kMaxClocks);
}

bool ordered(const Moment& earlier) {
    const Thread& thread = *machine.current;
    if (earlier.thread == thread.id || earlier.time <= machine.launch_begin || lost) return true;
    if (same_block(earlier.thread, thread.id)) {
        if (earlier.time <= machine.block.barrier) return true;
        if (same_warp(earlier.thread, thread.id) && earlier.time <= thread.met[earlier.thread % kWarpSize]) return true;
    }
    return time_of(thread.knowledge.seen, earlier.thread) >= earlier.time ||
           time_of(thread.knowledge.seen, block_key(earlier.thread)) >= earlier.time;
}

bool read_before(const Moment& earlier) {
    const Thread& thread = *machine.current;
    return (same_warp(earlier.thread, thread.id) && earlier.time <= thread.multiplied) || ordered(earlier);
}

// Threads that have returned count as having come to every later barrier.
void meet_block() {
    share_knowledge(machine.threads, machine.threads + machine.block.threads, [](const Thread&) { return true; });
    machine.block.barrier = machine.now++;
}

void meet_lanes(Thread* first, Thread* end, unsigned lanes) {
    const auto among = [lanes](const Thread& thread) { return (lanes >> thread.lane & 1) != 0; };
    share_knowledge(first, end, among);
    uint32_t met[kWarpSize] = {};
    for (const Thread* thread = first; thread < end; thread++)
        if (among(*thread))
            for (unsigned lane = 0; lane < kWarpSize; lane++)
                met[lane] = thread->met[lane] > met[lane] ? thread->met[lane] : met[lane];
    for (unsigned lane = 0; lane < kWarpSize; lane++)
        if (lanes >> lane & 1) met[lane] = machine.now;
    machine.now++;
    for (Thread* thread = first; thread < end; thread++)
        if (among(*thread)) __builtin_memcpy(thread->met, met, sizeof met);
}

void acquire(uintptr_t word, bool shared) {
    if (!release_count) return;
    const uintptr_t key = key_of(word, shared);
    const Release& here = place_of(key);
    Knowledge& own = machine.current->knowledge;
    if (here.word == key && here.epoch == epoch_of(shared)) own.seen = join(own.seen, here.clock);
}

void release(uintptr_t word, bool shared, bool keep) {
    const Knowledge& own = machine.current->knowledge;
    const Clock* fenced = shared ? own.fenced_in_block : own.fenced;
    if (!fenced && !release_count) return;
    const uintptr_t key = key_of(word, shared);
    Release& here = place_of(key);
    if (!here.word && (lost |= release_count == kMaxReleases / 2)) return;
    if (!here.word) release_count++;
    const bool more = keep && here.word && here.epoch == epoch_of(shared);
    here = {key, epoch_of(shared), more ? join(here.clock, fenced) : fenced};
}

// What the thread knows now is what its later atomics and flags release: its own accesses, those of its block before
// the last barrier, those of lanes that it has met, and what it has acquired.
extern "C" void simt_fence(int in_block_only) {
    Thread& thread = *machine.current;
    const Clock* clock = join(thread.knowledge.seen, leaf(thread.id, machine.now));
    clock = join(clock, leaf(block_key(thread.id), machine.block.barrier));
    for (unsigned lane = 0; lane < kWarpSize; lane++)
        if (thread.met[lane] > machine.block.barrier && lane != thread.lane)
            clock = join(clock, leaf(thread.id - thread.lane + lane, thread.met[lane]));
    machine.now++;
    thread.knowledge.fenced_in_block = clock;
    if (!in_block_only) thread.knowledge.fenced = clock;
}

}  // namespace simt
