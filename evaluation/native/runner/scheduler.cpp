// Runs the blocks of a launch: threads in order, until each waits or ends; then barriers open. Blocks and threads
// come in ascending, in descending or in a shuffled order, which breaks off at atomics and volatile accesses, too, to let
// other threads and blocks run; CUDA promises none of them.
#include "copies.h"
#include "fiber.h"
#include "order.h"
#include "poison.h"
#include "rehearsal.h"
#include "shared.h"
#include "warp.h"

namespace simt {

Machine machine;

namespace {

constexpr uint64_t kQuantum = 1 << 12;   // steps after which a spinning thread lets the others run
constexpr uint64_t kLong = 1 << 16;       // times that in a run of which nobody expects that it ends
constexpr uint64_t kPatience = 1 << 14;  // steps after which a block that only waits lets another block begin
constexpr unsigned kMostBarriers = 1 << 16;  // of a block; from then on they are no progress
constexpr unsigned kWindow = 8;          // of blocks from which the next is drawn

struct Resident {
    Block block;  // while another block runs
    const Launch* launch;  // whose threads these are
    bool active;
    unsigned doze;  // one in how many chances it takes to go on
    Thread threads[kMaxThreads];
    uint32_t met[kMaxThreads][kWarpSize];
};
Resident residents[kMaxResidents];
uint32_t serial;        // of the last block that began
uint64_t progress_at;   // the step at which a thread ended or a barrier opened
bool progressed;        // one has, in this launch
bool turn_is_over;      // of the block that runs

// The blocks that have not begun: a range, and some from below it from which the next is drawn.
struct {
    uint64_t low, high;
    uint64_t window[kWindow];
    unsigned in_window;
} blocks_left;

// How much later than usual others get their turn: where only the whole run has a budget, one thread shall end.
uint64_t delay() { return machine.patience < machine.most ? 1 : kLong; }

// A run may go on for a while until a thread ends or a barrier opens, the longer the more threads take turns.
uint64_t last_step_allowed() {
    const uint64_t more = progress_at + machine.patience + machine.patience / kMaxThreads * stacks_in_use();
    return more < machine.most ? more : machine.most;
}

void note_progress() {
    if (machine.rehearsing) return;
    progress_at = machine.steps;
    progressed = true;
    machine.budget = last_step_allowed();
}

void set_alarm() { machine.alarm = machine.quantum_end < machine.budget ? machine.quantum_end : machine.budget; }

// A walk through `count` things in the order of this run.
struct Walk {
    unsigned count, flip = 0, shift = 0;
    explicit Walk(unsigned things) : count(things) {
        if (machine.order == Order::kAscending) return;
        flip = machine.order == Order::kDescending || random_below(2);
        if (machine.order == Order::kShuffled) shift = random_below(count);
    }
    unsigned at(unsigned n) const {
        const unsigned m = flip ? count - 1 - n : n;
        return m + shift < count ? m + shift : m + shift - count;
    }
};

void switch_to(unsigned resident) {
    if (resident == machine.resident) return;
    if (residents[machine.resident].active) put_shared_aside(machine.resident);
    if (residents[resident].active) take_shared_back(resident);
    residents[machine.resident].block = machine.block;
    machine.resident = resident;
    machine.block = residents[resident].block;
    machine.threads = residents[resident].threads;
}

void place_threads(Resident& resident) {
    const Extent extent = machine.launch->block;
    resident.launch = machine.launch;
    for (unsigned rank = 0; rank < extent.x * extent.y * extent.z; rank++) {
        Thread& thread = resident.threads[rank];
        thread.index = {rank % extent.x, rank / extent.x % extent.y, rank / extent.x / extent.y};
        thread.rank = rank;
        thread.lane = rank % kWarpSize;
        thread.warp = rank / kWarpSize;
        thread.met = resident.met[rank];
    }
}

void begin_block(uint64_t number) {
    const Extent extent = machine.launch->block, grid = machine.launch->grid;
    Block& block = machine.block;
    block = {};
    block.index = {(unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y),
                   (unsigned)(number / grid.x / grid.y)};
    block.threads = block.live = extent.x * extent.y * extent.z;
    block.begin = block.barrier = machine.now++;
    serial = (serial + 1) % (1u << (31 - kRankBits));
    if (residents[machine.resident].launch != machine.launch) place_threads(residents[machine.resident]);
    for (unsigned rank = 0; rank < block.threads; rank++) {
        Thread& thread = machine.threads[rank];
        thread.state = State::kFresh;
        thread.id = serial << kRankBits | rank;
        thread.knowledge = {};
        thread.syncs = thread.multiplied = 0;
    }
    begin_shared();
}

// The walk through the warp that runs. When a thread ends, its fiber goes on with the next one that is fresh: it costs
// less than to come back to the scheduler.
struct {
    Thread* threads;
    Walk walk{0};
    unsigned next;
} round_of_warp;

void start_turn(Thread& thread) {
    if (thread.state == State::kFresh) spend();
    thread.state = State::kReady;
    machine.quantum_end = machine.steps + kQuantum * delay();
    set_alarm();
}

void thread_body() {
    auto& round = round_of_warp;
    for (;;) {
        enter_kernel();
        machine.block.live--;
        machine.block.waited = 0;
        note_progress();
        settle_writes();
        Thread& done = *machine.current;
        forget_copies(done);
        done.state = State::kDone;
        if (turn_is_over || round.next == round.walk.count) break;
        Thread& next = round.threads[round.walk.at(round.next)];
        if (next.state != State::kFresh) break;
        round.next++;
        pass_stack(done, next);
        start_turn(next);
    }
    suspend_fiber(*machine.current);
}

void resume(Thread& thread) {
    if (thread.state == State::kFresh) start_fiber(thread, thread_body);
    start_turn(thread);
    const uint64_t before = machine.steps;
    const Thread& last = resume_fiber(thread);
    Block& block = machine.block;
    block.waited = last.state == State::kYielded ? block.waited + machine.steps - before : 0;
}

// Runs the threads of one warp until each waits for somebody outside the warp, or has yielded.
bool run_warp(Thread* first, unsigned count) {
    Thread* const end = first + count;
    auto& round = round_of_warp;
    round = {first, Walk(count), 0};
    for (bool progress = false;; progress = true) {
        bool ran = false;
        for (round.next = 0; round.next < count;) {
            Thread& thread = first[round.walk.at(round.next++)];
            if (thread.state != State::kFresh && thread.state != State::kReady) continue;
            resume(thread);
            if (turn_is_over) return true;
            ran = true;
        }
        if (!ran && !converge(first, end) && !complete_warp_calls(first, end)) return progress;
    }
}

bool run_warps() {
    bool progress = false;
    const unsigned threads = machine.block.threads, warps = (threads + kWarpSize - 1) / kWarpSize;
    for (unsigned rank = 0; rank < threads; rank++)
        if (machine.threads[rank].state == State::kYielded) {
            const unsigned doze = machine.threads[rank].doze;
            if (doze == 1 || !random_below(doze)) machine.threads[rank].state = State::kReady;
            progress = true;
        }
    const Walk walk(warps);
    for (unsigned n = 0; n < warps && !turn_is_over; n++) {
        const unsigned first = walk.at(n) * kWarpSize;
        progress |= run_warp(machine.threads + first, threads - first < kWarpSize ? threads - first : kWarpSize);
    }
    turn_is_over |= machine.block.waited > kPatience * delay();
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
        if (thread.site != earliest->site && machine.rehearsing) end_sample();
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
    if (++block.barriers < kMostBarriers) note_progress();
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

// Runs the current block until it is done, or lets another one run.
void run_turn() {
    turn_is_over = false;
    while (machine.block.live && !turn_is_over) {
        const bool progress = run_warps();
        if (machine.block.live && !turn_is_over && !release_barrier() && !progress) report_deadlock();
    }
    residents[machine.resident].active = machine.block.live;
}

// The next block to begin: the lowest, where one waits for others, as a GPU begins them by habit.
uint64_t next_block(bool lowest) {
    auto& blocks = blocks_left;
    const bool drawn = machine.order == Order::kShuffled;
    while (drawn && blocks.in_window < kWindow && blocks.low < blocks.high)
        blocks.window[blocks.in_window++] = blocks.low++;
    if (machine.order == Order::kDescending && !lowest) return --blocks.high;
    if (!blocks.in_window) return blocks.low++;
    unsigned at = drawn && !lowest ? random_below(blocks.in_window) : 0;
    for (unsigned i = 0; lowest && i < blocks.in_window; i++)
        if (blocks.window[i] < blocks.window[at]) at = i;
    const uint64_t block = blocks.window[at];
    blocks.window[at] = blocks.window[--blocks.in_window];
    return block;
}

// Blocks run one after another, or in the shuffled order some by turns; one more begins where a block waits.
void run_blocks() {
    const Extent block = machine.launch->block;
    const unsigned fit = kMaxStacks / (block.x * block.y * block.z), most = fit < kMaxResidents ? fit : kMaxResidents;
    unsigned limit = machine.order == Order::kShuffled ? most - 1 : 1, slot = machine.resident;
    for (bool waits = false;; slot = (slot + 1) % most) {
        unsigned active = 0;
        for (const Resident& resident : residents) active += resident.active;
        const bool left = blocks_left.in_window || blocks_left.low < blocks_left.high;
        if (!active && !left) return;
        if (!active) slot = machine.resident;
        if (!residents[slot].active && !(left && active < limit)) continue;
        if (residents[slot].active && random_below(residents[slot].doze)) continue;
        residents[slot].doze = 1;
        switch_to(slot);
        if (!residents[slot].active) begin_block(next_block(waits));
        run_turn();
        if (machine.block.waited > kPatience * delay()) waits = true, limit = most;
    }
}

}  // namespace

void suspend(State state) {
    settle_writes();
    machine.current->state = state;
    suspend_fiber(*machine.current);
}

void ring() {
    if (machine.rehearsing && machine.steps > machine.budget) end_sample();
    if (machine.steps > machine.budget && machine.steps > (machine.budget = last_step_allowed()))
        finish(machine.steps > machine.most && progressed ? "unfinished" : "timeout", "the budget is used up after %llu steps: a run may "
               "take %llu, and between the ends of threads and barriers %llu", (unsigned long long)machine.steps,
               (unsigned long long)machine.most, (unsigned long long)machine.patience);
    if (!machine.current) return;
    settle_writes();
    if (machine.steps > machine.quantum_end) preempt();
    set_alarm();
}

// Lets other threads run, and with a number that is not 0 for its block other blocks, too.
static void yield_to_others(unsigned doze, unsigned block_doze) {
    machine.current->doze = doze;
    if (block_doze) {
        turn_is_over = true;
        residents[machine.resident].doze = block_doze;
    }
    suspend(State::kYielded);
}

void preempt() { yield_to_others(1, machine.order == Order::kShuffled && random_below(2)); }

// In the shuffled order a thread often stops here, and sometimes for long: many others come between this access and
// what the thread did before. In one run that is before its first such access, in others before a later one.
void before_synchronisation(bool shared) {
    if (machine.order != Order::kShuffled) return;
    const unsigned before = machine.current->syncs++;
    const bool long_stop = before == machine.stop && !random_below(3);
    if (!long_stop && random_below(before < 4 ? 4 : 64)) return;
    const bool whole_block = !shared && random_below(2);
    yield_to_others(long_stop && !whole_block ? 8 : 1, !whole_block ? 0 : long_stop ? 64 : 1);
}

unsigned random_below(unsigned count) {
    return (unsigned)((next_random() >> 32) * count >> 32);
}

void run_sample(const Launch& launch, uint64_t number, bool (*chosen)(const Thread& thread)) {
    machine.launch = &launch;
    machine.threads = residents[machine.resident].threads;
    machine.launch_begin = machine.now++;
    begin_block(number);
    Block& block = machine.block;
    for (unsigned rank = 0; rank < block.threads; rank++)
        if (!chosen(machine.threads[rank])) machine.threads[rank].state = State::kDone, block.live--;
    while (block.live) {
        turn_is_over = false;
        const bool progress = run_warps();
        if (block.live && !release_barrier() && !progress) end_sample();
    }
}

void run_launch(const Launch& launch) {
    machine.launch = &launch;
    machine.threads = residents[machine.resident].threads;
    machine.launch_begin = machine.now++;
    note_progress();
    progressed = false;
    blocks_left = {};
    blocks_left.high = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    run_blocks();
}

}  // namespace simt
