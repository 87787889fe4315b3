// A small CUDA for witnesses: what a kernel's text needs so that g++ takes it. Threads are fibers of harness.cpp.
// It checks nothing and shares nothing with the judge; loads and stores are seen through -fsanitize=thread's calls.
#pragma once

typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long size_t;

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __constant__ static const
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __shared__ static __attribute__((section("block_shared")))
#define QUIET __attribute__((no_sanitize("thread"))) inline

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define FLT_MAX __FLT_MAX__
#define FLT_MIN __FLT_MIN__
#define INT_MAX __INT_MAX__
#define INT_MIN (-__INT_MAX__ - 1)

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct float3 { float x, y, z; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) int2 { int x, y; };
QUIET float2 make_float2(float x, float y) { return {x, y}; }
QUIET float3 make_float3(float x, float y, float z) { return {x, y, z}; }
QUIET float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
QUIET int2 make_int2(int x, int y) { return {x, y}; }

// --- what harness.cpp gives ---
struct ThreadState { uint3 thread, block; };
extern ThreadState* harness_thread;
extern dim3 harness_grid, harness_block;
union Argument { long long integer; double number; };
struct Kernel { const char* name; void (*call)(const Argument*); };
extern "C" {
void* harness_dynamic_shared();
void harness_barrier();
void harness_fence();
void harness_step(const void* address);  // an atomic is about to happen here
const unsigned long long* harness_exchange(unsigned mask, unsigned long long bits, unsigned* present);
}
#define threadIdx (harness_thread->thread)
#define blockIdx (harness_thread->block)
#define blockDim harness_block
#define gridDim harness_grid
#define warpSize 32

QUIET void __syncthreads() { harness_barrier(); }
QUIET void __threadfence() { harness_fence(); }
QUIET void __threadfence_block() {}
QUIET void __syncwarp(unsigned mask = 0xffffffffu) { unsigned present; harness_exchange(mask, 0, &present); }

// --- warps ---
QUIET unsigned harness_lane() {
    const uint3& t = harness_thread->thread;
    return (t.x + harness_block.x * (t.y + harness_block.y * t.z)) & 31;
}
template <class T> QUIET T harness_from(unsigned mask, T value, int source) {
    unsigned long long bits = 0;
    unsigned present;
    __builtin_memcpy(&bits, &value, sizeof value);
    const unsigned long long* all = harness_exchange(mask, bits, &present);
    T result;
    __builtin_memcpy(&result, &all[source & 31], sizeof result);
    return result;
}
template <class T> QUIET T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    int lane = harness_lane();
    return harness_from(mask, value, (lane & ~(width - 1)) + (source & (width - 1)));
}
template <class T> QUIET T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    int lane = harness_lane();
    return harness_from(mask, value, (lane & (width - 1)) + (int)delta < width ? lane + (int)delta : lane);
}
template <class T> QUIET T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    int lane = harness_lane();
    return harness_from(mask, value, (lane & (width - 1)) >= (int)delta ? lane - (int)delta : lane);
}
template <class T> QUIET T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
    int lane = harness_lane(), source = lane ^ other;
    return harness_from(mask, value, source / width == lane / width ? source : lane);
}
QUIET unsigned __ballot_sync(unsigned mask, int predicate) {
    unsigned present, result = 0;
    const unsigned long long* all = harness_exchange(mask, predicate != 0, &present);
    for (int lane = 0; lane < 32; ++lane)
        if ((present >> lane & 1) && all[lane]) result |= 1u << lane;
    return result;
}
QUIET int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
QUIET int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

// --- atomics ---
#define ATOMIC(name, expression)                                         \
    template <class T> QUIET T name(T* address, decltype(T()) operand) { \
        harness_step(address);                                           \
        T old = *address;                                                \
        *address = expression;                                           \
        return old;                                                      \
    }
ATOMIC(atomicAdd, old + operand)
ATOMIC(atomicSub, old - operand)
ATOMIC(atomicExch, operand)
ATOMIC(atomicMax, old > operand ? old : operand)
ATOMIC(atomicMin, old < operand ? old : operand)
ATOMIC(atomicInc, old >= operand ? 0 : old + 1)
ATOMIC(atomicOr, old | operand)
#undef ATOMIC
template <class T> QUIET T atomicCAS(T* address, decltype(T()) compare, decltype(T()) value) {
    harness_step(address);
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

// --- numbers ---
extern "C" {
float expf(float); float exp2f(float); float logf(float); float log2f(float); float log1pf(float); float expm1f(float);
float erfcf(float); float sinhf(float); float coshf(float); float atanf(float); float asinhf(float); float acoshf(float); float atanhf(float);
float tanhf(float); float erff(float); float sqrtf(float); float powf(float, float); float fabsf(float);
float floorf(float); float ceilf(float); float fmaxf(float, float); float fminf(float, float);
float fmaf(float, float, float); float sinf(float); float cosf(float); float fmodf(float, float); float rintf(float);
double exp(double); double log(double); double sqrt(double); double fabs(double); double tanh(double);
void* memcpy(void*, const void*, size_t);
}
QUIET float rsqrtf(float x) { return (float)(1.0 / sqrt((double)x)); }
#define BOTH(type)                                      \
    QUIET type max(type a, type b) { return a > b ? a : b; } \
    QUIET type min(type a, type b) { return a < b ? a : b; }
BOTH(int) BOTH(unsigned) BOTH(long) BOTH(unsigned long) BOTH(long long) BOTH(unsigned long long)
#undef BOTH
QUIET float max(float a, float b) { return fmaxf(a, b); }
QUIET float min(float a, float b) { return fminf(a, b); }
QUIET int abs(int a) { return a < 0 ? -a : a; }
QUIET bool isnan(float x) { return x != x; }
QUIET bool isinf(float x) { return __builtin_isinf(x); }
QUIET bool isfinite(float x) { return __builtin_isfinite(x); }
QUIET int __float_as_int(float x) { int i; __builtin_memcpy(&i, &x, 4); return i; }
QUIET float __int_as_float(int x) { float f; __builtin_memcpy(&f, &x, 4); return f; }
QUIET unsigned __float_as_uint(float x) { return (unsigned)__float_as_int(x); }
QUIET float __uint_as_float(unsigned x) { return __int_as_float((int)x); }
QUIET int __popc(unsigned x) { return __builtin_popcount(x); }
QUIET int __ffs(int x) { return __builtin_ffs(x); }
QUIET int __clz(int x) { return x ? __builtin_clz(x) : 32; }
template <class T> inline T __ldg(const T* address) { return *address; }
// Fast functions, as inexact as CUDA documents them: the argument is scaled in float.
QUIET float __expf(float x) { return exp2f(x * 1.4426950408889634f); }
QUIET float __logf(float x) { return log2f(x) * 0.6931471805599453f; }
QUIET float __fdividef(float x, float y) { return fabsf(y) > 8.5e37f ? (isinf(x) ? NAN : 0.f) : x / y; }
QUIET float __powf(float x, float y) { return exp2f(y * log2f(x)); }
QUIET float __frcp_rn(float x) { return 1.f / x; }
QUIET float __fsqrt_rn(float x) { return sqrtf(x); }

// --- 16 bits ---
QUIET uint16_t harness_half_bits(float x) {
    unsigned bits = __float_as_uint(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) return sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u : 0);
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;
    if (magnitude < 0x38800000u) return sign | (unsigned)rintf(__uint_as_float(magnitude) * 16777216.f);
    return sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13);
}
QUIET float harness_half_value(uint16_t h) {
    unsigned sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ffu;
    float magnitude = exponent == 31  ? __uint_as_float(0x7f800000u | fraction << 13)
                      : exponent == 0 ? fraction / 16777216.f
                                      : __uint_as_float((exponent + 112) << 23 | fraction << 13);
    return __uint_as_float(__float_as_uint(magnitude) | sign);
}
QUIET uint16_t harness_bfloat_bits(float x) {
    unsigned bits = __float_as_uint(x);
    if (isnan(x)) return 0x7fffu;
    return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}
QUIET float harness_bfloat_value(uint16_t b) { return __uint_as_float((unsigned)b << 16); }

#define SMALL_FLOAT(name, to_bits, to_value)                                                    \
    struct name {                                                                               \
        uint16_t bits;                                                                          \
        name() = default;                                                                       \
        QUIET name(float x) : bits(to_bits(x)) {}                                               \
        operator float() const { return to_value(bits); }                                       \
    };
SMALL_FLOAT(half, harness_half_bits, harness_half_value)
SMALL_FLOAT(__nv_bfloat16, harness_bfloat_bits, harness_bfloat_value)
#undef SMALL_FLOAT
typedef half __half;
struct alignas(4) half2 { half x, y; };
typedef half2 __half2;
QUIET half __float2half(float x) { return half(x); }
QUIET half __float2half_rn(float x) { return half(x); }
QUIET float __half2float(half x) { return harness_half_value(x.bits); }
QUIET __nv_bfloat16 __float2bfloat16(float x) { return __nv_bfloat16(x); }
QUIET float __bfloat162float(__nv_bfloat16 x) { return harness_bfloat_value(x.bits); }
QUIET half __hadd(half a, half b) { return half((float)a + (float)b); }
QUIET half __hmul(half a, half b) { return half((float)a * (float)b); }
QUIET half2 __floats2half2_rn(float x, float y) { return {half(x), half(y)}; }
QUIET float2 __half22float2(half2 v) { return {(float)v.x, (float)v.y}; }

// --- cooperative groups: the block, and tiles of a warp ---
namespace cooperative_groups {
struct thread_block {
    QUIET void sync() const { harness_barrier(); }
    QUIET unsigned thread_rank() const {
        const uint3& t = harness_thread->thread;
        return t.x + harness_block.x * (t.y + harness_block.y * t.z);
    }
    QUIET unsigned size() const { return harness_block.x * harness_block.y * harness_block.z; }
};
QUIET thread_block this_thread_block() { return {}; }
template <int N> struct thread_block_tile {
    QUIET unsigned mask() const { return N == 32 ? 0xffffffffu : ((1u << N) - 1) << (harness_lane() & ~(N - 1)); }
    QUIET unsigned thread_rank() const { return harness_lane() & (N - 1); }
    QUIET unsigned meta_group_rank() const { return this_thread_block().thread_rank() / N; }
    QUIET unsigned meta_group_size() const { return (this_thread_block().size() + N - 1) / N; }
    QUIET unsigned size() const { return N; }
    QUIET void sync() const { __syncwarp(mask()); }
    template <class T> QUIET T shfl(T v, int source) const { return __shfl_sync(mask(), v, source, N); }
    template <class T> QUIET T shfl_down(T v, unsigned d) const { return __shfl_down_sync(mask(), v, d, N); }
    template <class T> QUIET T shfl_up(T v, unsigned d) const { return __shfl_up_sync(mask(), v, d, N); }
    template <class T> QUIET T shfl_xor(T v, unsigned d) const { return __shfl_xor_sync(mask(), v, d, N); }
};
template <int N> QUIET thread_block_tile<N> tiled_partition(const thread_block&) { return {}; }
}  // namespace cooperative_groups

// --- from arguments of a request to a kernel's own ---
template <class T> struct Convert { static T of(Argument a) { return (T)a.integer; } };
template <> struct Convert<float> { static float of(Argument a) { return (float)a.number; } };
template <> struct Convert<double> { static double of(Argument a) { return a.number; } };
template <int... I> struct Indices {};
template <class... P, int... I> QUIET void harness_spread(void (*kernel)(P...), const Argument* a, Indices<I...>) {
    kernel(Convert<P>::of(a[I])...);
}
template <class... P> QUIET void harness_call(void (*kernel)(P...), const Argument* a) {
    harness_spread(kernel, a, Indices<__integer_pack(sizeof...(P))...>());
}

extern "C" {
__attribute__((section("block_shared"))) char harness_first_shared[16];
extern __attribute__((visibility("hidden"))) char __start_block_shared[], __stop_block_shared[];
char* harness_shared[2] = {__start_block_shared, __stop_block_shared};
}
