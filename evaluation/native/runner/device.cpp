// Functions that compiled device code calls: the thread's place, barriers, 16-bit floats, and the callbacks that
// the compiler's instrumentation inserts.
#include <cstring>

#include "machine.h"
#include "rehearsal.h"

namespace simt {

namespace {

uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void wait_at_barrier(int line, int predicate, const void* frame) {
    machine.current->line = line;
    machine.current->site = call_path(frame, line);
    machine.current->predicate = predicate;
    suspend(State::kBarrier);
}

struct SourceLocation {  // the beginning of every record that the undefined-behaviour checks pass
    const char* file;
    unsigned line, column;
};

}  // namespace

extern "C" {

Extent simt_thread_index() { return machine.current->index; }
Extent simt_block_index() { return machine.block.index; }
Extent simt_block_extent() { return machine.launch->block; }
Extent simt_grid_extent() { return machine.launch->grid; }
unsigned simt_thread_rank() { return machine.current->rank; }
void simt_trap(const char* what) {
    if (machine.rehearsing) end_sample();  // a condition on data, perhaps
    finish("fault", "%s", what);
}
void simt_pure_virtual() { finish("fault", "call of a pure virtual function"); }

void simt_yield() {
    spend();
    preempt();
}

void simt_barrier(int line) { wait_at_barrier(line, 0, __builtin_frame_address(0)); }

// Every thread of the block reads the totals before the next barrier can overwrite them.
int simt_barrier_count(int line, int predicate) {
    if (machine.rehearsing) need_whole_block();
    wait_at_barrier(line, predicate, __builtin_frame_address(0));
    return machine.block.predicates_true;
}
int simt_barrier_and(int line, int predicate) {
    if (machine.rehearsing) need_whole_block();
    wait_at_barrier(line, predicate, __builtin_frame_address(0));
    return machine.block.predicates_true == machine.block.predicates_all;
}
int simt_barrier_or(int line, int predicate) {
    if (machine.rehearsing) need_whole_block();
    wait_at_barrier(line, predicate, __builtin_frame_address(0));
    return machine.block.predicates_true != 0;
}

float simt_half_to_float(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return float_of(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) return float_of(sign | bits_of((float)fraction * 0x1p-24f));
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

// Rounds to nearest even (IEEE 754); NaN becomes the quiet NaN, too large becomes infinity.
uint16_t simt_float_to_half(float value) {
    const uint32_t sign = bits_of(value) >> 16 & 0x8000, magnitude = bits_of(value) & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00);
    // Adding 0.5 leaves the subnormal's fraction, rounded, in the low bits.
    if (magnitude < 0x38800000) return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u));
    const uint32_t rebiased = magnitude - 0x38000000;
    return (uint16_t)(sign | (rebiased + 0xfff + (rebiased >> 13 & 1)) >> 13);
}

float simt_bfloat16_to_float(uint16_t bits) { return float_of((uint32_t)bits << 16); }

uint16_t simt_float_to_bfloat16(float value) {
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Called at every basic block: a loop costs steps even if it touches no memory.
void __sanitizer_cov_trace_pc() {
    if (!machine.current) return;
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (here < machine.deepest) machine.deepest = here;
    spend();
}

void __tsan_func_entry(void*) {
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (machine.current && here - machine.current->stack < kMaxFrame + 8192)
        finish("fault", "stack overflow: the recursion is too deep or the local arrays are too large");
}
void __tsan_func_exit() {}
void __tsan_init() {}

void __ubsan_handle_type_mismatch_v1(void* record, uintptr_t address) {
    if (!machine.current) return;
    const unsigned line = ((SourceLocation*)record)->line;
    if (address < 4096) finish("fault", "access through a null pointer on line %u", line);
    finish("fault", "misaligned access on line %u: the address ends in 0x%02x", line, (unsigned)(address & 0xff));
}
void __ubsan_handle_out_of_bounds(void* record, uintptr_t index) {
    const unsigned line = ((SourceLocation*)record)->line;
    if (machine.rehearsing && (long long)index < 0) end_sample();
    finish("fault", "index %lld is outside its array on line %u", (long long)index, line);
}

}  // extern "C"

}  // namespace simt
