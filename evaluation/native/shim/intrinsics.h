// Device intrinsics: fast maths, reinterpretation, bits and integers.
#pragma once

// Fast functions err as much as those of a GPU may (CUDA C++ Programming Guide, "Intrinsic Functions"): arguments are
// scaled in float, and what the hardware approximates is off by some part of the documented error, always by the same
// part for the same number.
SIMT_INLINE float simt_off(double exact, double error) {
    if (exact - exact != 0) return (float)exact;
    const long long part = (long long)(simt_bits<unsigned long long>(exact) * 0x9e3779b97f4a7c15ull);
    return (float)(exact + error * ((double)part * 0x1p-63));
}
SIMT_INLINE float simt_off_ulps(double exact) { return simt_off(exact, fabs(exact) * 0x1.8p-24); }
SIMT_INLINE float simt_fast_exp2(float x) { return simt_off_ulps(exp2((double)x)); }
// Near 1, where a logarithm is small, the error is an absolute one.
SIMT_INLINE float simt_fast_log(float x, double exact, double error) {
    return x >= 0.5f && x <= 2 ? simt_off(exact, error) : simt_off_ulps(exact);
}
SIMT_INLINE double simt_turn(float x) {
    const float turns = x * 0.15915494f;
    return 2 * M_PI * ((double)turns - rint((double)turns));
}
SIMT_INLINE float __expf(float x) { return simt_fast_exp2(x * 1.44269502f); }
SIMT_INLINE float __exp10f(float x) { return simt_fast_exp2(x * 3.32192802f); }
SIMT_INLINE float __logf(float x) { return simt_fast_log(x, log((double)x), 0x1.81p-22); }
SIMT_INLINE float __log2f(float x) { return simt_fast_log(x, log2((double)x), 0x1p-22); }
SIMT_INLINE float __log10f(float x) { return simt_fast_log(x, log10((double)x), 0x1p-24); }
SIMT_INLINE float __sinf(float x) { return simt_off(sin(simt_turn(x)), 0x1.81p-22); }
SIMT_INLINE float __cosf(float x) { return simt_off(cos(simt_turn(x)), 0x1.c1p-22); }
SIMT_INLINE float __tanhf(float x) { return simt_off(tanh((double)x), fabs(tanh((double)x)) * 0x1p-11); }
SIMT_INLINE float __powf(float x, float y) { return simt_fast_exp2(y * __log2f(x)); }
SIMT_INLINE float __fdividef(float x, float y) {
    const bool flushed = fabsf(y) > 0x1p126f && fabsf(y) <= 0x1.fffffep127f;
    return flushed ? x * 0 : simt_off_ulps((double)x / y);
}
SIMT_INLINE float __tanf(float x) { return __fdividef(__sinf(x), __cosf(x)); }
static inline void __sincosf(float x, float* sine, float* cosine) { *sine = __sinf(x), *cosine = __cosf(x); }
SIMT_INLINE float __frsqrt_rn(float x) { return (float)(1 / sqrt((double)x)); }
SIMT_INLINE float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
SIMT_INLINE float fdividef(float x, float y) { return x / y; }
SIMT_INLINE float fdivide(float x, float y) { return x / y; }

SIMT_INLINE int __float_as_int(float x) { return simt_bits<int>(x); }
SIMT_INLINE unsigned __float_as_uint(float x) { return simt_bits<unsigned>(x); }
SIMT_INLINE float __int_as_float(int x) { return simt_bits<float>(x); }
SIMT_INLINE float __uint_as_float(unsigned x) { return simt_bits<float>(x); }
SIMT_INLINE long long __double_as_longlong(double x) { return simt_bits<long long>(x); }
SIMT_INLINE double __longlong_as_double(long long x) { return simt_bits<double>(x); }
SIMT_INLINE int __double2hiint(double x) { return (int)(simt_bits<long long>(x) >> 32); }
SIMT_INLINE int __double2loint(double x) { return (int)simt_bits<long long>(x); }
SIMT_INLINE double __hiloint2double(int high, int low) {
    return simt_bits<double>((unsigned long long)(unsigned)high << 32 | (unsigned)low);
}

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
SIMT_INLINE unsigned long long __brevll(unsigned long long x) {
    return (unsigned long long)__brev((unsigned)x) << 32 | __brev((unsigned)(x >> 32));
}
SIMT_INLINE unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    unsigned long long bytes = (unsigned long long)high << 32 | low;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) result |= ((unsigned)(bytes >> 8 * (selector >> 4 * i & 7)) & 0xff) << 8 * i;
    return result;
}
SIMT_INLINE unsigned __sad(int x, int y, unsigned sum) { return sum + (x > y ? (unsigned)x - y : (unsigned)y - x); }
SIMT_INLINE unsigned __usad(unsigned x, unsigned y, unsigned sum) { return sum + (x > y ? x - y : y - x); }
SIMT_INLINE unsigned __umul24(unsigned x, unsigned y) { return (x & 0xffffffu) * (y & 0xffffffu); }
SIMT_INLINE int __mul24(int x, int y) {
    return (int)((long long)(int)((unsigned)x << 8) * (int)((unsigned)y << 8) >> 16);
}
SIMT_INLINE int __mulhi(int x, int y) { return (int)((long long)x * y >> 32); }
SIMT_INLINE unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
SIMT_INLINE long long __mul64hi(long long x, long long y) { return (long long)((__int128)x * y >> 64); }
SIMT_INLINE unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}
// Averages that do not overflow, rounded down (h) or up (rh).
SIMT_INLINE int __hadd(int x, int y) { return (int)(((long long)x + y) >> 1); }
SIMT_INLINE int __rhadd(int x, int y) { return (int)(((long long)x + y + 1) >> 1); }
SIMT_INLINE unsigned __uhadd(unsigned x, unsigned y) { return (unsigned)(((unsigned long long)x + y) >> 1); }
SIMT_INLINE unsigned __urhadd(unsigned x, unsigned y) { return (unsigned)(((unsigned long long)x + y + 1) >> 1); }

// The shift wraps at 32, or stops there (c).
SIMT_INLINE unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) << (shift < 32 ? shift : 32) >> 32);
}
SIMT_INLINE unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift < 32 ? shift : 32));
}
SIMT_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return __funnelshift_lc(low, high, shift & 31);
}
SIMT_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return __funnelshift_rc(low, high, shift & 31);
}

// Dot products of bytes with bytes (dp4a), or of 16-bit numbers with the low or the high two bytes (dp2a).
#define SIMT_DOT(T, Short, Byte, Short2, Byte4)                                                                   \
    SIMT_INLINE T __dp4a(T a, T b, T sum) {                                                                       \
        for (int i = 0; i < 32; i += 8) sum += (T)((Byte)(a >> i) * (Byte)(b >> i));                              \
        return sum;                                                                                               \
    }                                                                                                             \
    SIMT_INLINE T __dp2a_lo(T a, T b, T sum) {                                                                    \
        return sum + (T)((Short)a * (Byte)b) + (T)((Short)(a >> 16) * (Byte)(b >> 8));                            \
    }                                                                                                             \
    SIMT_INLINE T __dp2a_hi(T a, T b, T sum) { return __dp2a_lo(a, b >> 16, sum); }                               \
    SIMT_INLINE T __dp4a(Byte4 a, Byte4 b, T sum) { return __dp4a(simt_bits<T>(a), simt_bits<T>(b), sum); }       \
    SIMT_INLINE T __dp2a_lo(Short2 a, Byte4 b, T sum) { return __dp2a_lo(simt_bits<T>(a), simt_bits<T>(b), sum); } \
    SIMT_INLINE T __dp2a_hi(Short2 a, Byte4 b, T sum) { return __dp2a_hi(simt_bits<T>(a), simt_bits<T>(b), sum); }
SIMT_DOT(int, short, signed char, short2, char4)
SIMT_DOT(unsigned, unsigned short, unsigned char, ushort2, uchar4)
