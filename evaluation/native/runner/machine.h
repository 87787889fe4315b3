// The emulated machine: its address space, the state that all parts of the runner share, and how a run ends.
//
// A run is one process. Kernels execute on one operating-system thread, one block at a time, one fiber per
// CUDA thread. What CUDA leaves open is the run's: the order of blocks and threads, and by a seed the contents of
// memory that nobody has written and where buffers lie. The same run gives the same result every time, and the parent
// asks for several: a kernel that is right only in some of them is not right.
#pragma once
#include <cstddef>
#include <cstdint>

namespace simt {

constexpr unsigned kWarpSize = 32;
constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kMaxResidents = 4;      // blocks in flight
constexpr unsigned kMaxStacks = 3 * kMaxThreads;
constexpr size_t kMaxShared = 227 * 1024;  // sm_90: dynamic plus static, per block
constexpr size_t kSharedRoom = 1 << 20;    // for the static variables of all kernels, with gaps between

// The kernel puts the runner's own heap anywhere in the first GiB, so the fixed places start above it.
constexpr uintptr_t kImageBase = 0x50000000;  // the candidate's code and data; below 2 GiB for -fno-pic
constexpr size_t kImageLimit = 128u << 20;
constexpr uintptr_t kDynamicShared = 0x60000000;
constexpr uintptr_t kStackBase = 0x68000000;
constexpr uintptr_t kArenaBase = 0x1000000000;  // buffers, each in its own slots

// The compiler refuses frames over kMaxFrame, and every function entry checks that as much is still free.
constexpr size_t kMaxFrame = 64 * 1024;
constexpr size_t kStackSize = 2 * kMaxFrame + 16 * 1024;
inline bool is_on_a_stack(uintptr_t address) { return address - kStackBase < kMaxStacks * kStackSize; }

struct Extent {
    unsigned x, y, z;
};

enum class State { kFresh, kReady, kYielded, kBarrier, kWarp, kConverge, kDone };

struct WarpCall {
    unsigned mask;
    int operation;
    uint64_t value;
    int argument, width;
    uint64_t site, result;
};

struct Cell;  // race.cpp
struct Moment {
    uint32_t time, thread;  // time 0: never
};

// What a thread knows of others, beyond barriers and the lanes that it has met: see order.cpp.
struct Clock;
struct Knowledge {
    const Clock *seen, *fenced, *fenced_in_block;  // now; at its last fence; at its last fence of any scope
};

struct Thread {
    Extent index;
    unsigned rank, lane, warp;  // within the block
    State state;
    void* stack_pointer;
    uintptr_t stack;      // lowest address; 0 while the thread has none
    uintptr_t deepest;    // the lowest address of it that was in use
    int line;             // where it waits (kBarrier), for messages
    uint64_t site;        // the same (and kConverge), told apart by every call on the way there
    int predicate;        // __syncthreads_count and its kin
    unsigned doze;        // one in how many chances it takes to go on (kYielded)
    unsigned syncs;       // its atomics and volatile accesses
    WarpCall call;        // kWarp
    uint32_t id;          // among all threads of the run
    uint32_t* met;        // when it last synchronised with each lane of its warp
    uint32_t multiplied;  // when its warp last multiplied matrices: what it had read by then was there
    Knowledge knowledge;
    const Cell* looked_at;  // with its last volatile load
    Moment saw;             // the store that it saw there
    uint32_t first_copy, last_copy, batch;  // asynchronous copies in flight; the batch that has not been committed
};

struct Block {
    Extent index;
    unsigned threads, live;
    uint32_t begin, barrier;  // when it began, and when its last barrier opened
    unsigned barriers;        // that have opened
    int predicates_true, predicates_all;
    uint64_t waited;  // steps in which its threads did nothing but let others run
};

struct Launch {
    const char* kernel;
    Extent grid, block;
    size_t shared_bytes;
    void (*entry)(void** arguments);
    void** arguments;
};

enum class Order { kAscending, kDescending, kShuffled };

struct Machine {
    Thread* threads;  // of the block that runs
    Thread* current;  // null while the runner itself executes
    uintptr_t deepest;  // of its stack, so far
    Block block;
    unsigned resident;  // which of the blocks in flight it is
    const Launch* launch;
    Order order;
    bool rehearsing, zero_filled;  // see rehearsal.h; with zeros in all memory
    unsigned stop;  // in the shuffled order, before which of its atomics a thread may wait for long
    uint32_t now, launch_begin;  // time passes where threads synchronise
    bool contended;  // threads met at a word with nothing to say which comes first
    bool optimized;  // the candidate's code, in which one call may have become several
    uint64_t steps, quantum_end;
    uint64_t budget, patience, most;  // the last step that is allowed; how many more progress allows, and in all
    uint64_t alarm;  // the step after which `ring` is due
};
extern Machine machine;
extern thread_local char static_shared[kSharedRoom];

// Ends the run: writes the status (a name of the Python enum `Status`, "unfinished" or "ok") and the message, and exits.
[[noreturn]] void finish(const char* status, const char* format, ...) __attribute__((format(printf, 2, 3)));

// branches.cpp
extern "C" uint64_t simt_code_bytes;
extern "C" const uint8_t* simt_entries;
// Calls the entry with so many bytes (a multiple of 64) of the stack below overwritten.
extern "C" void simt_enter(void (*entry)(void**), void** arguments, size_t bytes, const void* poison);

// warp.cpp
uint64_t call_path(const void* frame, int line);  // to the runner's function that the kernel called

// scheduler.cpp
void run_launch(const Launch& launch);
void suspend(State state);
void preempt();
unsigned random_below(unsigned count);  // the same in every run with the same seed
void before_synchronisation(bool shared);  // where other threads and, unless the word is shared, blocks may come first

// After the last step of the budget or of a thread's turn, or where a check waits for the next step.
void ring();

// Counts one step of work; the budget ends spinning kernels at the same point on every machine.
inline void spend() {
    if (__builtin_expect(++machine.steps > machine.alarm, 0)) ring();
}

}  // namespace simt
