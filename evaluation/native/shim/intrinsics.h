// Device intrinsics: fast maths, reinterpretation, bits and integers.
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
SIMT_FAST(__frsqrt_rn, rsqrtf)
SIMT_INLINE float __powf(float x, float y) { return powf(x, y); }
SIMT_INLINE float __fdividef(float x, float y) { return x / y; }
SIMT_INLINE float fdividef(float x, float y) { return x / y; }
SIMT_INLINE float fdivide(float x, float y) { return x / y; }
static inline void __sincosf(float x, float* sine, float* cosine) { sincosf(x, sine, cosine); }

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
