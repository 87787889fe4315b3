// Device intrinsics: fast maths, explicit rounding, bit counting and reinterpretation.
#pragma once

// The fast versions are as exact as the slow ones here; tolerances allow for the difference on a GPU.
#define SIMT_FAST(name, function) SIMT_INLINE float name(float x) { return function(x); }
SIMT_FAST(__expf, expf)
SIMT_FAST(__exp10f, exp10f)
SIMT_FAST(__logf, logf)
SIMT_FAST(__log2f, log2f)
SIMT_FAST(__log10f, log10f)
SIMT_FAST(__sinf, sinf)
SIMT_FAST(__cosf, cosf)
SIMT_FAST(__tanf, tanf)
SIMT_FAST(__tanhf, tanhf)
SIMT_INLINE float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
SIMT_FAST(__fsqrt_rn, sqrtf)
SIMT_FAST(__frsqrt_rn, rsqrtf)
SIMT_INLINE float __powf(float x, float y) { return powf(x, y); }
SIMT_INLINE float __fdividef(float x, float y) { return x / y; }
SIMT_INLINE float fdividef(float x, float y) { return x / y; }
SIMT_INLINE float __frcp_rn(float x) { return 1.0f / x; }
SIMT_INLINE float __fadd_rn(float x, float y) { return x + y; }
SIMT_INLINE float __fsub_rn(float x, float y) { return x - y; }
SIMT_INLINE float __fmul_rn(float x, float y) { return x * y; }
SIMT_INLINE float __fdiv_rn(float x, float y) { return x / y; }
SIMT_INLINE float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
SIMT_INLINE double __dadd_rn(double x, double y) { return x + y; }
SIMT_INLINE double __dmul_rn(double x, double y) { return x * y; }
SIMT_INLINE double __fma_rn(double x, double y, double z) { return fma(x, y, z); }
static inline void __sincosf(float x, float* sine, float* cosine) { sincosf(x, sine, cosine); }

SIMT_INLINE int __float2int_rn(float x) { return (int)rintf(x); }
SIMT_INLINE int __float2int_rz(float x) { return (int)truncf(x); }
SIMT_INLINE int __float2int_rd(float x) { return (int)floorf(x); }
SIMT_INLINE int __float2int_ru(float x) { return (int)ceilf(x); }
SIMT_INLINE unsigned __float2uint_rn(float x) { return (unsigned)rintf(x); }
SIMT_INLINE unsigned __float2uint_rz(float x) { return (unsigned)truncf(x); }
SIMT_INLINE float __int2float_rn(int x) { return (float)x; }
SIMT_INLINE float __uint2float_rn(unsigned x) { return (float)x; }
SIMT_INLINE double __int2double_rn(int x) { return (double)x; }
SIMT_INLINE float __double2float_rn(double x) { return (float)x; }
SIMT_INLINE int __double2int_rz(double x) { return (int)x; }

SIMT_INLINE int __float_as_int(float x) { return simt_bits<int>(x); }
SIMT_INLINE unsigned __float_as_uint(float x) { return simt_bits<unsigned>(x); }
SIMT_INLINE float __int_as_float(int x) { return simt_bits<float>(x); }
SIMT_INLINE float __uint_as_float(unsigned x) { return simt_bits<float>(x); }
SIMT_INLINE long long __double_as_longlong(double x) { return simt_bits<long long>(x); }
SIMT_INLINE double __longlong_as_double(long long x) { return simt_bits<double>(x); }

SIMT_INLINE int __popc(unsigned x) {
    int count = 0;
    for (; x; x &= x - 1) count++;
    return count;
}
SIMT_INLINE int __popcll(unsigned long long x) { return __popc((unsigned)x) + __popc((unsigned)(x >> 32)); }
SIMT_INLINE int __clz(int x) { return x ? __builtin_clz(x) : 32; }
SIMT_INLINE int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
SIMT_INLINE int __ffs(int x) { return x ? __builtin_ctz(x) + 1 : 0; }
SIMT_INLINE int __ffsll(long long x) { return x ? __builtin_ctzll(x) + 1 : 0; }
SIMT_INLINE unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int bit = 0; bit < 32; bit++) reversed |= (x >> bit & 1u) << (31 - bit);
    return reversed;
}
SIMT_INLINE unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    unsigned long long bytes = (unsigned long long)high << 32 | low;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) result |= ((unsigned)(bytes >> 8 * (selector >> 4 * i & 7)) & 0xff) << 8 * i;
    return result;
}
SIMT_INLINE unsigned __sad(int x, int y, unsigned sum) { return sum + (x > y ? (unsigned)x - y : (unsigned)y - x); }
SIMT_INLINE unsigned __usad(unsigned x, unsigned y, unsigned sum) { return sum + (x > y ? x - y : y - x); }
SIMT_INLINE int __mul24(int x, int y) { return x * y; }
SIMT_INLINE int __mulhi(int x, int y) { return (int)((long long)x * y >> 32); }
SIMT_INLINE unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
SIMT_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)((((unsigned long long)high << 32 | low) << (shift & 31)) >> 32);
}
SIMT_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}
SIMT_INLINE int __dp4a(int a, int b, int sum) {
    for (int i = 0; i < 32; i += 8) sum += (signed char)(a >> i) * (signed char)(b >> i);
    return sum;
}
