// Runs launches of a kernel on fibers, in orders of its own choosing: the witness that a mutant differs.
//
// A request holds jobs: buffers, launches and trials; a trial is a seed, an order, and what unset memory is filled with.
// Threads are switched at loads and stores (the calls that -fsanitize=thread puts there). In a `weak` trial a store to
// global memory is seen by other blocks only after a fence, or some time later. Buffers end at pages that do not exist.
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

typedef unsigned long long u64;
struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct ThreadState { uint3 thread, block; };
union Argument { long long integer; double number; };
struct Kernel { const char* name; void (*call)(const Argument*); };
ThreadState* harness_thread;
dim3 harness_grid, harness_block;

namespace {

enum Status { DONE, CRASHED, ENDLESS, DEADLOCK, OUTSIDE };
enum Order { FORWARD, BACKWARD, PRIORITIES, WARP_PRIORITIES, RANDOM };
constexpr size_t STACK = 64 << 10, PAGE = 4096, MARGIN = 1 << 16, ARENA = 1ull << 36;
constexpr u64 MOST_STEPS = 100'000'000;  // of a trial
constexpr long MOST_SECONDS = 15;         // of CPU time, where there are none to count
constexpr size_t MOST_FIBERS = 1024, DYNAMIC = 232448;

struct Trial { u64 seed; long long order, weak, fill, at_end; };
struct Buffer { long long role, bytes; char* initial; char* at; char* low; char* high; };
struct Launch { long long kernel, grid[3], block[3], shared; std::vector<std::pair<long long, Argument>> arguments; };

struct Block;
struct Fiber {
    ThreadState state;
    Block* block;
    jmp_buf context;
    char* stack;
    bool made, ended;
    const void* waits;  // a barrier or a meeting of its warp
    u64 priority;
    std::unordered_map<unsigned, unsigned> meetings;  // by mask: how many this thread has been to
};
struct Meeting { u64 bits[32]; unsigned arrived, present; };
struct Block {
    uint3 index;
    size_t number;
    std::vector<Fiber*> fibers;
    std::vector<char> shared;
    int alive, waiting;
    unsigned epoch;
    std::unordered_map<u64, Meeting> meetings;  // by warp, mask and parity
};
struct Pending { char old[16]; size_t size; Fiber* writer; Block* block; unsigned epoch; };

Trial trial;
std::vector<Buffer> buffers;
const Launch* launch;
Kernel* kernels;
char *shared_from, *shared_to;  // where the kernels' own shared variables lie
std::vector<Block*> flying;
std::vector<Fiber*> ready;  // a heap by priority; in RANDOM order any list
Fiber* running;
Block* resident;  // whose shared memory lies in the section
std::unordered_map<char*, Pending> pending;
struct { char* at; char real[16]; size_t size; } hidden;
jmp_buf scheduler;
ucontext_t entry;
char* arena;
alignas(16) char dynamic[DYNAMIC];
u64 steps, dice;
FILE* response;

u64 roll() {
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return dice;
}

[[noreturn]] void give_up(long long status) {
    fwrite(&status, sizeof status, 1, response);
    fclose(response);
    _exit(0);
}
void on_signal(int) { give_up(CRASHED); }

void fill(char* at, size_t bytes) {
    unsigned pattern = (unsigned)trial.fill;
    size_t i = 0;
    for (; i < bytes && ((size_t)at + i) % 4; ++i) at[i] = ((char*)&pattern)[((size_t)at + i) % 4];
    for (; i + 4 <= bytes; i += 4) memcpy(at + i, &pattern, 4);
    memcpy(at + i, &pattern, bytes - i);
}

void show_real() {
    if (!hidden.at) return;
    memcpy(hidden.at, hidden.real, hidden.size);
    hidden.at = nullptr;
}

void enter_block(Block* block) {
    if (resident == block) return;
    size_t fixed = shared_to - shared_from, moving = launch->shared;
    if (resident) {
        memcpy(resident->shared.data(), shared_from, fixed);
        memcpy(resident->shared.data() + fixed, dynamic, moving);
    }
    resident = block;
    memcpy(shared_from, block->shared.data(), fixed);
    memcpy(dynamic, block->shared.data() + fixed, moving);
}

__attribute__((noinline)) void dirty_the_stack() {  // where the kernel's variables will lie
    alignas(16) char below[3072];
    fill(below, sizeof below);
    asm volatile("" : : "r"(below) : "memory");
}

void body() {  // of a fiber: one thread after another
    for (;;) {
        Argument values[64];
        for (size_t i = 0; i < launch->arguments.size(); ++i) {
            const auto& [kind, value] = launch->arguments[i];
            values[i] = value;
            if (kind == 0) values[i].integer = (long long)buffers[value.integer].at;
        }
        if (trial.fill) dirty_the_stack();
        kernels[launch->kernel].call(values);
        show_real();
        running->ended = true;
        if (!_setjmp(running->context)) _longjmp(scheduler, 1);
    }
}

void leave(const void* reason) {  // to the scheduler, and back when it is this thread's turn
    show_real();
    Fiber* self = running;
    self->waits = reason;
    if (!_setjmp(self->context)) _longjmp(scheduler, 1);
}

bool lower(const Fiber* one, const Fiber* other) { return one->priority < other->priority; }

void get_ready(Fiber* fiber) {
    static u64 turn;
    ++turn;
    if (trial.order == FORWARD) fiber->priority = ~turn;
    if (trial.order == BACKWARD) fiber->priority = turn;
    ready.push_back(fiber);
    if (trial.order != RANDOM) std::push_heap(ready.begin(), ready.end(), lower);
}

Fiber* choose() {
    if (trial.order != RANDOM) std::pop_heap(ready.begin(), ready.end(), lower);
    else std::swap(ready[roll() % ready.size()], ready.back());
    Fiber* chosen = ready.back();
    ready.pop_back();
    return chosen;
}

void wake(Block* block, const void* reason) {
    for (Fiber* fiber : block->fibers)
        if (fiber->waits == reason && !fiber->ended) fiber->waits = nullptr, get_ready(fiber);
}

void open_barrier(Block* block) {
    block->waiting = 0;
    ++block->epoch;
    wake(block, block);
}

bool meeting_is_full(const Block* block, const Meeting& meeting, unsigned mask, unsigned warp) {
    for (unsigned lane = 0; lane < 32; ++lane) {
        size_t thread = warp * 32 + lane;
        bool exists = thread < block->fibers.size() && !block->fibers[thread]->ended;
        if ((mask >> lane & 1) && exists && !(meeting.arrived >> lane & 1)) return false;
    }
    return true;
}

void hold(Block* block, Meeting& meeting) {  // all are there: what they brought is fixed
    meeting.present = meeting.arrived;
    wake(block, &meeting);
}

void ended(Fiber* fiber) {
    Block* block = fiber->block;
    --block->alive;
    if (block->alive && block->waiting == block->alive) open_barrier(block);
    for (auto& [key, meeting] : block->meetings)
        if (meeting.arrived && meeting_is_full(block, meeting, (unsigned)(key >> 1), (unsigned)(key >> 33)))
            hold(block, meeting);
}

u64 priority_of(const Fiber* fiber, size_t thread) {
    if (trial.order != WARP_PRIORITIES) return roll();
    return (trial.seed + thread / 32 + 64 * fiber->block->number) * 0x9e3779b97f4a7c15ull;
}

void start(size_t number, std::vector<Fiber*>& pool) {
    size_t width = launch->grid[0], height = launch->grid[1];
    Block* block = new Block;
    block->number = number;
    block->index = {(unsigned)(number % width), (unsigned)(number / width % height), (unsigned)(number / width / height)};
    block->alive = (int)(launch->block[0] * launch->block[1] * launch->block[2]);
    block->waiting = 0, block->epoch = 1;
    block->shared.resize(shared_to - shared_from + launch->shared);
    fill(block->shared.data(), block->shared.size());
    for (int i = 0; i < block->alive; ++i) {
        Fiber* fiber = pool.back();
        pool.pop_back();
        unsigned x = (unsigned)launch->block[0], y = (unsigned)launch->block[1];
        fiber->state = {{i % x, i / x % y, i / x / y}, block->index};
        fiber->block = block, fiber->ended = false, fiber->waits = nullptr;
        fiber->meetings.clear();
        fiber->priority = priority_of(fiber, i);
        block->fibers.push_back(fiber);
    }
    for (Fiber* fiber : block->fibers) get_ready(fiber);
    flying.push_back(block);
}

void run_until_it_leaves(Fiber* fiber) {
    running = fiber;
    harness_thread = &fiber->state;
    enter_block(fiber->block);
    if (_setjmp(scheduler)) return;
    if (fiber->made) _longjmp(fiber->context, 1);
    fiber->made = true;
    entry.uc_stack.ss_sp = fiber->stack;
    entry.uc_stack.ss_size = STACK;
    entry.uc_link = nullptr;
    makecontext(&entry, body, 0);
    setcontext(&entry);
}

void run_launch(std::vector<Fiber*>& pool) {
    harness_grid = {(unsigned)launch->grid[0], (unsigned)launch->grid[1], (unsigned)launch->grid[2]};
    harness_block = {(unsigned)launch->block[0], (unsigned)launch->block[1], (unsigned)launch->block[2]};
    size_t threads = launch->block[0] * launch->block[1] * launch->block[2];
    size_t blocks = launch->grid[0] * launch->grid[1] * launch->grid[2], next = 0;
    size_t together = trial.order <= BACKWARD ? 1 : std::max<size_t>(1, std::min<size_t>(4, 1024 / threads));
    std::vector<size_t> order(blocks);
    for (size_t i = 0; i < blocks; ++i) order[i] = trial.order == BACKWARD ? blocks - 1 - i : i;
    if (trial.order > BACKWARD)
        for (size_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[roll() % i]);
    while (next < blocks || !flying.empty()) {
        while (flying.size() < together && next < blocks) start(order[next++], pool);
        if (ready.empty()) give_up(DEADLOCK);
        Fiber* fiber = choose();
        run_until_it_leaves(fiber);
        if (!fiber->ended) continue;
        ended(fiber);
        Block* block = fiber->block;
        if (block->alive) continue;
        for (Fiber* each : block->fibers) pool.push_back(each);
        flying.erase(std::find(flying.begin(), flying.end(), block));
        if (resident == block) resident = nullptr;
        for (auto it = pending.begin(); it != pending.end();)
            if (it->second.block == block) it = pending.erase(it); else ++it;
        delete block;
    }
    pending.clear();
}

bool in_arena(const char* p) { return p >= arena && p < arena + ARENA; }
bool in_shared(const char* p) {
    return (p >= shared_from && p < shared_to) || (p >= dynamic && p < dynamic + DYNAMIC);
}

void maybe_switch() {
    u64 odds = roll();
    if (trial.order == RANDOM ? odds % 8 == 0 : odds % 512 == 0) {
        if (trial.order != RANDOM) running->priority = roll();
        get_ready(running);
        leave(nullptr);
    }
}

void write_later(char* p, size_t n) {
    auto found = pending.find(p);
    if (found != pending.end() && found->second.block == running->block) return;
    if (found != pending.end()) { pending.erase(found); return; }
    Pending entry{{}, n, running, running->block, running->block->epoch};
    memcpy(entry.old, p, n);
    pending[p] = entry;
    if (roll() % 64 == 0) pending.erase(std::next(pending.begin(), roll() % std::min<size_t>(pending.size(), 8)));
}

void show_stale(char* p, size_t n) {
    auto found = pending.find(p);
    if (found == pending.end() || found->second.block == running->block || found->second.size != n) return;
    hidden.at = p, hidden.size = n;
    memcpy(hidden.real, p, n);
    memcpy(p, found->second.old, n);
}

void touch(void* address, size_t n, bool write) {
    if (!running) return;
    show_real();
    if (++steps > MOST_STEPS) give_up(ENDLESS);
    char* p = (char*)address;
    bool global = in_arena(p);
    if (!global && !in_shared(p)) return;
    if (trial.order > BACKWARD) maybe_switch();
    if (!global || !trial.weak || n > 16) return;
    if (write) write_later(p, n); else show_stale(p, n);
}

}  // namespace

extern "C" {
void* harness_dynamic_shared() { return dynamic; }
void harness_barrier() {
    Block* block = running->block;
    if (++block->waiting < block->alive) return leave(block);
    get_ready(running);
    open_barrier(block);
    leave(nullptr);
}
void harness_fence() {
    show_real();
    for (auto it = pending.begin(); it != pending.end();) {
        const Pending& entry = it->second;
        bool ours = entry.writer == running || (entry.block == running->block && entry.epoch < running->block->epoch);
        if (ours) it = pending.erase(it); else ++it;
    }
}
void harness_step(const void*) {
    if (!running) return;
    show_real();
    if (++steps > MOST_STEPS) give_up(ENDLESS);
    if (trial.order > BACKWARD) maybe_switch();
}
const u64* harness_exchange(unsigned mask, u64 bits, unsigned* present) {
    Fiber* self = running;
    Block* block = self->block;
    const uint3& t = self->state.thread;
    unsigned thread = t.x + harness_block.x * (t.y + harness_block.y * t.z), lane = thread & 31, warp = thread / 32;
    unsigned parity = self->meetings[mask]++ & 1;
    u64 key = ((u64)warp << 33) | ((u64)mask << 1) | parity;
    block->meetings[key ^ 1].arrived = 0;  // whoever comes here has left the meeting before
    Meeting& meeting = block->meetings[key];
    if (!meeting.arrived)
        for (u64& each : meeting.bits) fill((char*)&each, 8);
    meeting.arrived |= 1u << lane;
    meeting.bits[lane] = bits;
    if (meeting_is_full(block, meeting, mask, warp)) {
        hold(block, meeting);
        get_ready(self);
        leave(nullptr);
    } else {
        leave(&meeting);
    }
    *present = meeting.present;
    return meeting.bits;
}

#define SEEN(n)                                                        \
    void __tsan_read##n(void* p) { touch(p, n, false); }               \
    void __tsan_write##n(void* p) { touch(p, n, true); }               \
    void __tsan_unaligned_read##n(void* p) { touch(p, n, false); }     \
    void __tsan_unaligned_write##n(void* p) { touch(p, n, true); }     \
    void __tsan_volatile_read##n(void* p) { touch(p, n, false); }      \
    void __tsan_volatile_write##n(void* p) { touch(p, n, true); }
SEEN(1) SEEN(2) SEEN(4) SEEN(8) SEEN(16)
void __tsan_read_range(void* p, size_t n) { touch(p, n, false); }
void __tsan_write_range(void* p, size_t n) { touch(p, n, true); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
}

namespace {

long long number(FILE* file) {
    long long value = 0;
    if (fread(&value, sizeof value, 1, file) != 1) _exit(3);
    return value;
}

void place(size_t index) {
    Buffer& buffer = buffers[index];
    char* region = arena + ARENA / 64 * index;
    size_t whole = (buffer.bytes + 15) / 16 * 16, room = (whole + PAGE - 1) / PAGE * PAGE;
    buffer.low = region + MARGIN;
    buffer.high = buffer.low + MARGIN + room + (trial.at_end ? 0 : MARGIN * 16);
    mprotect(buffer.low, buffer.high - buffer.low, PROT_READ | PROT_WRITE);
    memset(buffer.low, 0x5a, buffer.high - buffer.low);
    buffer.at = trial.at_end ? buffer.high - whole : buffer.low + MARGIN;
    if (buffer.role == 0) memcpy(buffer.at, buffer.initial, buffer.bytes);
    else fill(buffer.at, buffer.bytes);
}

bool untouched(const char* from, const char* to) {
    return from == to || (*from == 0x5a && !memcmp(from, from + 1, to - from - 1));
}
bool written_outside(const Buffer& buffer) {
    if (!untouched(buffer.low, buffer.at) || !untouched(buffer.at + buffer.bytes, buffer.high)) return true;
    return buffer.role == 0 && memcmp(buffer.at, buffer.initial, buffer.bytes);
}

void run_trial(const std::vector<Launch>& launches, std::vector<Fiber*>& pool) {
    dice = trial.seed * 2 + 1;
    for (int i = 0; i < 8; ++i) roll();
    steps = 0;
    itimerval limit{{0, 0}, {MOST_SECONDS, 0}};
    setitimer(ITIMER_VIRTUAL, &limit, nullptr);
    for (size_t i = 0; i < buffers.size(); ++i) place(i);
    for (const Launch& each : launches) launch = &each, run_launch(pool);
    running = nullptr;
    long long status = DONE;
    for (const Buffer& buffer : buffers)
        if (written_outside(buffer)) status = OUTSIDE;
    fwrite(&status, sizeof status, 1, response);
    for (const Buffer& buffer : buffers)
        if (buffer.role == 1) fwrite(buffer.at, 1, buffer.bytes, response);
    for (const Buffer& buffer : buffers) madvise(buffer.low, buffer.high - buffer.low, MADV_DONTNEED);
    for (const Buffer& buffer : buffers) mprotect(buffer.low, buffer.high - buffer.low, PROT_NONE);
}

void read_buffers(FILE* file) {
    buffers.assign(number(file), {});
    for (Buffer& buffer : buffers) {
        buffer.role = number(file), buffer.bytes = number(file);
        if (buffer.role != 0) continue;
        buffer.initial = (char*)malloc(buffer.bytes + 1);
        if (fread(buffer.initial, 1, buffer.bytes, file) != (size_t)buffer.bytes) _exit(3);
    }
}

std::vector<Launch> read_launches(FILE* file) {
    std::vector<Launch> launches(number(file));
    for (Launch& each : launches) {
        each.kernel = number(file);
        for (long long& extent : each.grid) extent = number(file);
        for (long long& extent : each.block) extent = number(file);
        each.shared = number(file);
        each.arguments.resize(number(file));
        for (auto& argument : each.arguments) argument.first = number(file), argument.second.integer = number(file);
    }
    return launches;
}

void catch_signals() {
    static char handler_stack[1 << 16];
    stack_t stack{handler_stack, 0, sizeof handler_stack};
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    for (int each : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(each, &action, nullptr);
    action.sa_handler = [](int) { give_up(ENDLESS); };
    sigaction(SIGVTALRM, &action, nullptr);
}

}  // namespace

int main(int, char** paths) {
    void* library = dlopen(paths[1], RTLD_LAZY);
    FILE* file = fopen(paths[2], "rb");
    response = fopen(paths[3], "wb");
    if (!library || !file || !response) return 3;
    kernels = (Kernel*)dlsym(library, "harness_kernels");
    char** shared = (char**)dlsym(library, "harness_shared");
    shared_from = shared[0], shared_to = shared[1];
    catch_signals();
    arena = (char*)mmap(nullptr, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char* stacks = (char*)mmap(nullptr, MOST_FIBERS * STACK, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    std::vector<Fiber*> pool;
    for (size_t i = 0; i < MOST_FIBERS; ++i) {
        pool.push_back(new Fiber{});
        pool.back()->stack = stacks + i * STACK;
    }
    getcontext(&entry);
    for (long long jobs = number(file); jobs > 0; --jobs) {
        read_buffers(file);
        std::vector<Launch> launches = read_launches(file);
        std::vector<Trial> trials(number(file));
        for (Trial& each : trials) {
            each.seed = number(file), each.order = number(file), each.weak = number(file);
            each.fill = number(file), each.at_end = number(file);
        }
        for (const Trial& each : trials) trial = each, run_trial(launches, pool);
    }
    fclose(response);
    return 0;
}
