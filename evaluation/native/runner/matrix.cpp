// Matrix products of a warp. A number of a fragment may be held by any lane, as CUDA leaves open: every run draws an
// order for each kind and shape of matrix, and a kernel that counts on another one gets a wrong result.
//
// Lanes wait for each other at every operation, which orders no writes to memory: what lanes have written for each
// other needs a barrier before it is loaded, and what a fragment was stored to, before another lane reads it. But a
// product needs what was loaded before, so it may be overwritten afterwards.
#include "matrix.h"

#include <cstring>

#include "poison.h"
#include "rehearsal.h"
#include "warp.h"

extern "C" {
float simt_half_to_float(uint16_t half);
uint16_t simt_float_to_half(float value);
float simt_bfloat16_to_float(uint16_t bits);
}

namespace simt {

namespace {

enum Number { kHalf, kBfloat16, kTf32, kFloat, kDouble, kInt8, kUint8, kInt };  // the same list as in the shim's matrix.h

constexpr unsigned kAccumulator = 4;  // of the kinds; 0 and 1 are the left factor by row and by column, 2 and 3 the right
constexpr unsigned kMostElements = 32 * 16;
constexpr uintptr_t kPointerAlignment = 32, kStrideAlignment = 16;  // in bytes; CUDA C++ Programming Guide, "WMMA"

struct Product {
    const void *a, *b, *c;
    void* d;
    unsigned shape, types, kinds;
    bool saturate;
};

unsigned byte_of(unsigned word, unsigned n) { return word >> 8 * n & 255; }

// The element at place `slot` of all that the lanes hold: a bijection of the `slots`, a power of two, drawn by the run.
unsigned element_at(unsigned kind, unsigned elements, unsigned slots, unsigned slot) {
    static const uint64_t secret = next_random();
    uint64_t drawn = secret ^ (kind * 4096 + elements);
    const unsigned half = (unsigned)__builtin_ctz(slots) / 2;
    for (unsigned round = 0; round < 4; round++) {
        drawn = (drawn ^ drawn >> 29) * 0x9e3779b97f4a7c15;
        slot = (slot * ((unsigned)(drawn >> 32) | 1) + (unsigned)(drawn >> 20)) % slots;
        slot ^= slot >> half;
    }
    return slot % elements;
}

double number_at(const void* numbers, unsigned type, unsigned i) {
    switch (type) {
        case kHalf: return simt_half_to_float(((const uint16_t*)numbers)[i]);
        case kBfloat16: return simt_bfloat16_to_float(((const uint16_t*)numbers)[i]);
        case kFloat: return ((const float*)numbers)[i];
        case kDouble: return ((const double*)numbers)[i];
        case kInt8: return ((const signed char*)numbers)[i];
        case kUint8: return ((const unsigned char*)numbers)[i];
        case kInt: return ((const int*)numbers)[i];
        default: {  // tensor cores ignore the last 13 bits
            uint32_t bits;
            memcpy(&bits, (const float*)numbers + i, sizeof bits);
            bits &= ~0x1fffu;
            float value;
            memcpy(&value, &bits, sizeof value);
            return value;
        }
    }
}

int to_int(double sum, bool saturate) {
    if (saturate && (sum > INT32_MAX || sum < INT32_MIN)) return sum > 0 ? INT32_MAX : INT32_MIN;
    return (int)(int64_t)sum;
}

void put_number(void* numbers, unsigned type, unsigned i, double sum, bool saturate) {
    switch (type) {
        case kHalf: ((uint16_t*)numbers)[i] = simt_float_to_half((float)sum); break;
        case kDouble: ((double*)numbers)[i] = sum; break;
        case kInt: ((int*)numbers)[i] = to_int(sum, saturate); break;
        default: ((float*)numbers)[i] = (float)sum; break;
    }
}

struct Matrix {
    unsigned kind, type, columns, elements, held;  // held: by each lane
    double values[kMostElements];
    void begin(unsigned kind_, unsigned type_, unsigned rows, unsigned columns_) {
        kind = kind_, type = type_, columns = columns_, elements = rows * columns_;
        held = type == kHalf && kind < kAccumulator ? 16 : elements / kWarpSize;
    }
    unsigned at(unsigned lane, unsigned i) const {
        return element_at(kind, elements, held * kWarpSize, lane * held + i);
    }
};

const Product& product_of(const Thread& thread) { return *(const Product*)thread.call.value; }

void gather(Matrix& matrix, const Thread* first, const void* Product::*numbers) {
    for (unsigned lane = 0; lane < kWarpSize; lane++)
        for (unsigned i = 0; i < matrix.held; i++)
            matrix.values[matrix.at(lane, i)] = number_at(product_of(first[lane]).*numbers, matrix.type, i);
}

// Products are exact; they are added in single precision, or exactly those of integers, or in double precision.
template <class Sum> void add_products(const Matrix& a, const Matrix& b, Matrix& c) {
    for (unsigned e = 0; e < c.elements; e++) {
        const unsigned row = e / c.columns, column = e % c.columns;
        auto sum = (Sum)c.values[e];
        for (unsigned i = 0; i < a.columns; i++)
            sum += (Sum)(a.values[row * a.columns + i] * b.values[i * b.columns + column]);
        c.values[e] = sum;
    }
}

void multiply(Thread* first) {
    const Product& all = product_of(*first);
    const unsigned m = byte_of(all.shape, 0), n = byte_of(all.shape, 1), k = byte_of(all.shape, 2);
    const unsigned type = byte_of(all.types, 0);
    static Matrix a, b, c;
    a.begin(byte_of(all.kinds, 0), type, m, k);
    b.begin(byte_of(all.kinds, 1), type, k, n);
    c.begin(kAccumulator, byte_of(all.types, 1), m, n);
    gather(a, first, &Product::a);
    gather(b, first, &Product::b);
    gather(c, first, &Product::c);
    if (type >= kDouble) add_products<double>(a, b, c);
    else add_products<float>(a, b, c);
    for (unsigned lane = 0; lane < kWarpSize; lane++)
        for (unsigned i = 0; i < c.held; i++)
            put_number(product_of(first[lane]).d, byte_of(all.types, 2), i, c.values[c.at(lane, i)], all.saturate);
    for (unsigned lane = 0; lane < kWarpSize; lane++) first[lane].multiplied = machine.now;
    machine.now++;
    machine.steps += m * n * k / 16;
}

bool is_same(const WarpCall& a, const WarpCall& b) {
    if (a.operation != kMultiply) return a.value == b.value && a.argument == b.argument && a.width == b.width;
    const Product &x = *(const Product*)a.value, &y = *(const Product*)b.value;
    return x.shape == y.shape && x.types == y.types && x.kinds == y.kinds && x.saturate == y.saturate;
}

}  // namespace

void meet_matrix(Thread* first, const Thread* end) {
    unsigned lanes = 0;
    for (Thread* thread = first; thread < end; thread++) {
        if (thread->state != State::kWarp) continue;
        machine.current = thread;
        lanes++;
        if (!is_same(first->call, thread->call) && first->state == State::kWarp)
            finish("fault", "lanes of one warp call a matrix operation with different arguments");
    }
    if (lanes != kWarpSize)
        finish("fault", "a matrix operation with %u lanes; it needs all %u of the warp", lanes, kWarpSize);
    if (first->call.operation == kMultiply) multiply(first);
    machine.current = nullptr;
}

extern "C" void simt_matrix_begin(const void* memory, unsigned stride, unsigned bytes, unsigned kind) {
    if (machine.rehearsing) need_whole_block();
    const auto address = (uintptr_t)memory;
    if (is_on_a_stack(address))
        finish("fault", "a matrix is loaded from or stored to a local variable; only global and shared memory will do");
    if (address % kPointerAlignment)
        finish("fault", "misaligned matrix: its address ends in 0x%02x, and must be a multiple of %zu bytes",
               (unsigned)(address & 255), kPointerAlignment);
    if (stride * bytes % kStrideAlignment)
        finish("fault", "a matrix whose rows or columns lie %u elements (%u bytes) apart, which is no multiple of %zu bytes",
               stride, stride * bytes, kStrideAlignment);
    join_warp(~0u, kMatrixAccess, (uint64_t)address, (int)stride, (int)kind, call_path(__builtin_frame_address(0), 0));
}

extern "C" unsigned simt_matrix_element(unsigned kind, unsigned elements, unsigned held, unsigned index) {
    return element_at(kind, elements, held * kWarpSize, machine.current->lane * held + index);
}

extern "C" void simt_matrix_multiply(const void* a, const void* b, const void* c, void* d, unsigned shape,
                                     unsigned types, unsigned kinds, bool saturate) {
    if (machine.rehearsing) need_whole_block();
    const Product product = {a, b, c, d, shape, types, kinds, saturate};
    join_warp(~0u, kMultiply, (uint64_t)&product, 0, 0, call_path(__builtin_frame_address(0), 0));
}

}  // namespace simt
