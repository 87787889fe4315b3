// Warp-level operations and the device-side functions that call them.
#include "warp.h"

#include "matrix.h"
#include "order.h"
#include "poison.h"
#include "rehearsal.h"

namespace simt {

namespace {

bool in_mask(const Thread& thread, unsigned mask) { return mask >> thread.lane & 1; }

int source_lane(const Thread& thread) {
    const WarpCall& call = thread.call;
    const int lane = (int)thread.lane, first = lane / call.width * call.width;
    switch (call.operation) {
        case kIndex: return first + (int)((unsigned)call.argument % (unsigned)call.width);
        case kUp: return lane - call.argument < first ? lane : lane - call.argument;
        case kDown: return lane + call.argument >= first + call.width ? lane : lane + call.argument;
        default: return (lane ^ call.argument) >= first + call.width ? lane : lane ^ call.argument;
    }
}

uint64_t shuffle(const Thread& thread, const Thread* first, const Thread* end) {
    const int source = source_lane(thread);
    if (source < 0 || source >= end - first) return undefined_register();
    const Thread& from = first[source];
    return in_mask(from, thread.call.mask) && from.state == State::kWarp ? from.call.value
                                                                             : undefined_register();
}

uint32_t combine(int operation, uint32_t a, uint32_t b) {
    switch (operation) {
        case kAdd: return a + b;
        case kMin: return a < b ? a : b;
        case kMax: return a > b ? a : b;
        case kMinSigned: return (int32_t)a < (int32_t)b ? a : b;
        case kMaxSigned: return (int32_t)a > (int32_t)b ? a : b;
        case kAnd: return a & b;
        case kOr: return a | b;
        default: return a ^ b;
    }
}

uint64_t vote(const Thread& thread, const Thread* first, const Thread* end) {
    uint64_t lanes = 0;
    for (const Thread* other = first; other < end; other++) {
        if (!in_mask(*other, thread.call.mask) || other->state != State::kWarp) continue;
        const bool yes = thread.call.operation == kBallot ? other->call.value != 0
                                                          : other->call.value == thread.call.value;
        lanes |= (uint64_t)yes << other->lane;
    }
    return lanes;
}

uint64_t reduce(const Thread& thread, const Thread* first, const Thread* end) {
    bool any = false;
    uint32_t total = 0;
    for (const Thread* other = first; other < end; other++) {
        if (!in_mask(*other, thread.call.mask) || other->state != State::kWarp) continue;
        const uint32_t value = (uint32_t)other->call.value;
        total = any ? combine(thread.call.operation, total, value) : value;
        any = true;
    }
    return total;
}

uint64_t result(const Thread& thread, const Thread* first, const Thread* end) {
    const int operation = thread.call.operation;
    if (operation == kSync) return 0;
    if (operation <= kXor) return shuffle(thread, first, end);
    if (operation <= kMatch) return vote(thread, first, end);
    return reduce(thread, first, end);
}

// Lanes that have returned count as having arrived, as on the hardware. All must be at the same call: one line of a
// program may hold two, and one helper may be called from two branches; only __syncwarp lets lanes meet from anywhere.
bool all_arrived(const Thread& caller, const Thread* first, const Thread* end) {
    for (const Thread* other = first; other < end; other++) {
        if (!in_mask(*other, caller.call.mask) || other->state == State::kDone) continue;
        if (other->state != State::kWarp || other->call.mask != caller.call.mask ||
            other->call.operation != caller.call.operation ||
            (other->call.site != caller.call.site && caller.call.operation != kSync))
            return false;
    }
    return true;
}

bool try_complete(const Thread& caller, Thread* first, Thread* end) {
    if (!all_arrived(caller, first, end)) return false;
    const unsigned mask = caller.call.mask;
    const bool matrix = caller.call.operation >= kMatrixAccess;
    unsigned lanes = 0;
    if (matrix) meet_matrix(first, end);
    for (Thread* other = first; other < end; other++) {
        if (!in_mask(*other, mask) || other->state != State::kWarp) continue;
        if (!matrix) other->call.result = result(*other, first, end);
        lanes |= 1u << other->lane;
    }
    if (!matrix) meet_lanes(first, end, lanes);
    for (Thread* other = first; other < end; other++)
        if (lanes >> other->lane & 1) other->state = State::kReady;
    return true;
}

}  // namespace

// Candidates are compiled with frame pointers; the first frame of a thread has none before it.
uint64_t call_path(const void* frame, int line) {
    const uintptr_t stack = machine.current->stack;
    uint64_t path = (uint64_t)line;
    if (machine.optimized) return path;
    for (auto at = (const uintptr_t*)frame; (uintptr_t)at - stack < kStackSize - 16 && (uintptr_t)at % 8 == 0;) {
        path = (path ^ at[1]) * 0x9e3779b97f4a7c15;
        if (at[0] <= (uintptr_t)at) break;
        at = (const uintptr_t*)at[0];
    }
    return path;
}

uint64_t join_warp(unsigned mask, int operation, uint64_t value, int argument, int width, uint64_t site) {
    Thread& thread = *machine.current;
    thread.call = {mask, operation, value, argument, width, site, 0};
    suspend(State::kWarp);
    return thread.call.result;
}

bool complete_warp_calls(Thread* first, Thread* end) {
    for (Thread* thread = first; thread < end; thread++)
        if (thread->state == State::kWarp && try_complete(*thread, first, end)) return true;
    return false;
}

// Lanes that come to the same __activemask() need not be together, not even after code that all of them ran.
static bool is_together() { return machine.order != Order::kShuffled || random_below(8); }

bool converge(Thread* first, Thread* end) {
    unsigned lanes = 0;
    const Thread* leader = nullptr;
    for (Thread* thread = first; thread < end; thread++) {
        if (thread->state != State::kConverge) continue;
        if (!leader) leader = thread;
        if (thread->site == leader->site && (thread == leader || is_together())) lanes |= 1u << thread->lane;
    }
    for (Thread* thread = first; thread < end; thread++) {
        if (thread->state != State::kConverge || !(lanes >> thread->lane & 1)) continue;
        thread->call.result = lanes;
        thread->state = State::kReady;
    }
    return lanes != 0;
}

extern "C" uint64_t simt_warp(unsigned mask, int operation, uint64_t value, int argument, int width) {
    if (machine.rehearsing) need_whole_block();
    Thread& thread = *machine.current;
    if (!in_mask(thread, mask))
        finish("fault", "warp operation with mask 0x%08x, which leaves out the calling lane %u", mask, thread.lane);
    if (width < 1 || width > (int)kWarpSize || (width & (width - 1)))
        finish("fault", "warp shuffle with width %d, which is not a power of two up to 32", width);
    return join_warp(mask, operation, value, argument, width, call_path(__builtin_frame_address(0), 0));
}

extern "C" unsigned simt_active_mask(int line) {
    if (machine.rehearsing) need_whole_block();
    machine.current->site = call_path(__builtin_frame_address(0), line);
    suspend(State::kConverge);
    return (unsigned)machine.current->call.result;
}

}  // namespace simt
