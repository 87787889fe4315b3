// Runs the blocks of a launch: threads in order, until each waits or ends; then barriers open. Blocks and threads
// come in ascending or, in other runs, in descending order; CUDA promises neither.
#include "fiber.h"
#include "order.h"
#include "shared.h"
#include "warp.h"

namespace simt {

Machine machine;

namespace {

constexpr uint64_t kQuantum = 1 << 16;  // steps after which a spinning thread lets the others run

uint32_t serial;  // of the last block that began
uint32_t met[kMaxThreads][kWarpSize];

void set_alarm() { machine.alarm = machine.quantum_end < machine.budget ? machine.quantum_end : machine.budget; }

void thread_body() {
    simt_enter(machine.launch->entry, machine.launch->arguments);
    machine.block.live--;
    suspend(State::kDone);
    __builtin_trap();
}

// The n-th of `count` things in the order of this run.
unsigned in_order(unsigned n, unsigned count) { return machine.descending ? count - 1 - n : n; }

void begin_block(Extent index) {
    const Extent extent = machine.launch->block;
    Block& block = machine.block;
    block.index = index;
    block.threads = block.live = extent.x * extent.y * extent.z;
    block.begin = block.barrier = machine.now++;
    serial = (serial + 1) % (1u << (31 - kRankBits));
    for (unsigned rank = 0; rank < block.threads; rank++) {
        Thread& thread = machine.threads[rank];
        thread.index = {rank % extent.x, rank / extent.x % extent.y, rank / extent.x / extent.y};
        thread.rank = rank;
        thread.lane = rank % kWarpSize;
        thread.warp = rank / kWarpSize;
        thread.state = State::kFresh;
        thread.id = serial << kRankBits | rank;
        thread.met = met[rank];
        thread.knowledge = {};
    }
    begin_shared();
}

void resume(Thread& thread) {
    if (thread.state == State::kFresh) {
        spend();
        start_fiber(thread, thread_body);
    }
    thread.state = State::kReady;
    machine.quantum_end = machine.steps + kQuantum;
    set_alarm();
    resume_fiber(thread);
    if (thread.state == State::kDone) release_stack(thread);
}

// Runs the threads of one warp until each waits for somebody outside the warp, or has yielded.
bool run_warp(Thread* first, unsigned count) {
    Thread* const end = first + count;
    for (bool progress = false;; progress = true) {
        bool ran = false;
        for (unsigned n = 0; n < count; n++) {
            Thread& thread = first[in_order(n, count)];
            if (thread.state == State::kFresh || thread.state == State::kReady) resume(thread), ran = true;
        }
        if (!ran && !converge(first, end) && !complete_warp_calls(first, end)) return progress;
    }
}

bool run_warps() {
    bool progress = false;
    const unsigned threads = machine.block.threads, warps = (threads + kWarpSize - 1) / kWarpSize;
    for (unsigned rank = 0; rank < threads; rank++)
        if (machine.threads[rank].state == State::kYielded) machine.threads[rank].state = State::kReady;
    for (unsigned n = 0; n < warps; n++) {
        const unsigned first = in_order(n, warps) * kWarpSize;
        progress |= run_warp(machine.threads + first, threads - first < kWarpSize ? threads - first : kWarpSize);
    }
    return progress;
}

// Opens the block barrier if every live thread waits at it.
bool release_barrier() {
    Block& block = machine.block;
    const Thread* earliest = nullptr;
    unsigned waiting = 0;
    block.predicates_true = block.predicates_all = 0;
    for (unsigned rank = 0; rank < block.threads; rank++) {
        const Thread& thread = machine.threads[rank];
        if (thread.state != State::kBarrier) continue;
        if (!earliest) earliest = &thread;
        if (thread.site != earliest->site) {
            machine.current = machine.threads + rank;
            finish("fault", "divergent barrier: threads of one block wait at two barriers, on lines %d and %d (0: of a "
                   "cooperative group)", earliest->line, thread.line);
        }
        waiting++;
        block.predicates_all++;
        block.predicates_true += thread.predicate;
    }
    if (waiting != block.live) return false;
    meet_block();
    for (unsigned rank = 0; rank < block.threads; rank++)
        if (machine.threads[rank].state == State::kBarrier) machine.threads[rank].state = State::kReady;
    return true;
}

[[noreturn]] void report_deadlock() {
    unsigned barrier = 0, warp = 0;
    for (unsigned rank = 0; rank < machine.block.threads; rank++) {
        Thread& thread = machine.threads[rank];
        barrier += thread.state == State::kBarrier;
        warp += thread.state == State::kWarp;
        if (thread.state == State::kBarrier || thread.state == State::kWarp) machine.current = &thread;
    }
    finish("fault", "deadlock: %u threads wait at __syncthreads(), %u in a warp operation, %u have returned%s", barrier,
           warp, machine.block.threads - machine.block.live,
           warp ? "; lanes meet only at the same call, made from the same place with the same mask" : "");
}

void run_block(Extent index) {
    begin_block(index);
    while (machine.block.live) {
        const bool progress = run_warps();
        if (machine.block.live && !release_barrier() && !progress) report_deadlock();
    }
}

}  // namespace

void suspend(State state) {
    settle_writes();
    machine.current->state = state;
    suspend_fiber(*machine.current);
}

void ring() {
    if (machine.steps > machine.budget)
        finish("timeout", "the budget of %llu steps is used up", (unsigned long long)machine.budget);
    if (!machine.current) return;
    settle_writes();
    if (machine.steps > machine.quantum_end) preempt();
    set_alarm();
}

void preempt() {
    machine.quantum_end = machine.steps + kQuantum;
    if (machine.block.live > 1) suspend(State::kYielded);
}

void run_launch(const Launch& launch) {
    machine.launch = &launch;
    machine.launch_begin = machine.now++;
    refresh_stacks();
    const Extent grid = launch.grid;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++)
                run_block({in_order(x, grid.x), in_order(y, grid.y), in_order(z, grid.z)});
}

}  // namespace simt
