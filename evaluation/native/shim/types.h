// Keywords, fixed-width integers and the built-in vector types.
#pragma once

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef long long intptr_t;
typedef unsigned long long uintptr_t;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

// The macros that device code on the real thing sees; candidates must not be able to tell the two apart.
#define __CUDACC__ 1
#define __CUDA_ARCH__ 900
#define __NVCC__ 1

// Attributes are spelled with underscores: a candidate may define macros of other names.
#define __global__
#define __device__
#define __host__
// A section for each variable (the compilers want constant and other data apart) that the loader write-protects.
#define SIMT_TEXT_OF(x) #x
#define SIMT_CONSTANT(number) __attribute__((__section__(".constant." SIMT_TEXT_OF(number))))
#define __constant__ SIMT_CONSTANT(__COUNTER__)
#define __managed__
#define __grid_constant__
#define __forceinline__ inline
#define __inline__ inline
#define __noinline__ __attribute__((__noinline__))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((__aligned__(bytes)))
#define __restrict__ __restrict
#define __builtin_assume(condition) ((void)0)
// One block runs at a time on one operating-system thread, so a thread-local variable is one copy per block;
// its section (.tbss) tells the loader which variables are shared.
#define __shared__ __attribute__((__aligned__(16))) thread_local

#define SIMT_UNCHECKED                                                                                     \
    __attribute__((no_sanitize("thread", "alignment", "bounds", "shift", "float-cast-overflow"), no_sanitize_coverage))
#define SIMT_INLINE static inline SIMT_UNCHECKED

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    operator uint3() const { return {x, y, z}; }
};
SIMT_INLINE uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

// Alignments are CUDA's: a misaligned vector access faults on a GPU and is reported here.
#define SIMT_VECTOR(T, name, align2, align4)                                            \
    struct name##1 { T x; };                                                            \
    struct alignas(align2) name##2 { T x, y; };                                         \
    struct alignas(align4) name##4 { T x, y, z, w; };                                   \
    SIMT_INLINE name##1 make_##name##1(T x) { return {x}; }                             \
    SIMT_INLINE name##2 make_##name##2(T x, T y) { return {x, y}; }                     \
    SIMT_INLINE name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define SIMT_VECTOR3(T, name)                                                           \
    struct name##3 { T x, y, z; };                                                      \
    SIMT_INLINE name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }

SIMT_VECTOR(signed char, char, 2, 4)
SIMT_VECTOR(unsigned char, uchar, 2, 4)
SIMT_VECTOR(short, short, 4, 8)
SIMT_VECTOR(unsigned short, ushort, 4, 8)
SIMT_VECTOR(int, int, 8, 16)
SIMT_VECTOR(unsigned, uint, 8, 16)
SIMT_VECTOR(long, long, 16, 16)
SIMT_VECTOR(unsigned long, ulong, 16, 16)
SIMT_VECTOR(long long, longlong, 16, 16)
SIMT_VECTOR(unsigned long long, ulonglong, 16, 16)
SIMT_VECTOR(float, float, 8, 16)
SIMT_VECTOR(double, double, 16, 16)
SIMT_VECTOR3(signed char, char)
SIMT_VECTOR3(unsigned char, uchar)
SIMT_VECTOR3(short, short)
SIMT_VECTOR3(unsigned short, ushort)
SIMT_VECTOR3(int, int)
SIMT_VECTOR3(long, long)
SIMT_VECTOR3(long long, longlong)
SIMT_VECTOR3(float, float)
SIMT_VECTOR3(double, double)

#define FLT_MAX __FLT_MAX__
#define FLT_MIN __FLT_MIN__
#define FLT_EPSILON __FLT_EPSILON__
#define DBL_MAX __DBL_MAX__
#define DBL_MIN __DBL_MIN__
#define DBL_EPSILON __DBL_EPSILON__
#define CHAR_BIT 8
#define SHRT_MAX __SHRT_MAX__
#define INT_MAX __INT_MAX__
#define INT_MIN (-__INT_MAX__ - 1)
#define UINT_MAX (__INT_MAX__ * 2U + 1U)
#define LLONG_MAX __LONG_LONG_MAX__
#define LLONG_MIN (-__LONG_LONG_MAX__ - 1)
#define ULLONG_MAX (__LONG_LONG_MAX__ * 2ULL + 1ULL)
#define INT32_MAX INT_MAX
#define INT32_MIN INT_MIN
#define UINT32_MAX UINT_MAX
#define INT64_MAX LLONG_MAX
#define INFINITY __builtin_inff()
#define HUGE_VALF __builtin_inff()
#define HUGE_VAL __builtin_inf()
#define NAN __builtin_nanf("")
#define M_PI 3.14159265358979323846
#define M_PI_2 1.57079632679489661923
#define M_PI_4 0.78539816339744830962
#define M_1_PI 0.31830988618379067154
#define M_2_PI 0.63661977236758134308
#define M_2_SQRTPI 1.12837916709551257390
#define M_SQRT2 1.41421356237309504880
#define M_SQRT1_2 0.70710678118654752440
#define M_E 2.7182818284590452354
#define M_LOG2E 1.4426950408889634074
#define M_LOG10E 0.43429448190325182765
#define M_LN2 0.69314718055994530942
#define M_LN10 2.30258509299404568402
#define CUDART_INF_F __builtin_inff()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_INF __builtin_inf()
#define CUDART_NAN __builtin_nan("")
#define CUDART_PI_F 3.141592654f
#define CUDART_MAX_NORMAL_F 3.402823466e38f
#define CUDART_SQRT_HALF_F 0.707106781f
#define CUDART_L2E_F 1.442695041f
#define CUDART_LN2_F 0.693147181f
#define NULL 0
#define offsetof(type, member) __builtin_offsetof(type, member)
