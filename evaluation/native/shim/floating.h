// The 16-bit floating types, in software: arithmetic in float or double, rounded once to nearest even.
#pragma once

extern "C" {
float simt_half_to_float(uint16_t bits) __attribute__((const));
uint16_t simt_float_to_half(float value) __attribute__((const));
float simt_bfloat16_to_float(uint16_t bits) __attribute__((const));
uint16_t simt_float_to_bfloat16(float value) __attribute__((const));
}

// Rounding twice can go wrong, but not if the first rounding is to odd: a number that is not exact gets a last bit
// of 1. `error` is what is exact minus `near`.
template <class T, class Bits> SIMT_INLINE T simt_odd(T near, double error) {
    const Bits bits = simt_bits<Bits>(near);
    if (!(error > 0 || error < 0) || isinf(near) || bits & 1) return near;
    if (near == 0) return simt_bits<T>((Bits)((error < 0 ? (Bits)1 << (8 * sizeof bits - 1) : 0) | 1));
    return simt_bits<T>((Bits)((error > 0) == (near > 0) ? bits + 1 : bits - 1));
}
SIMT_INLINE float simt_odd_float(double x) { return simt_odd<float, uint32_t>((float)x, x - (float)x); }
SIMT_INLINE double simt_odd_double(unsigned long long x) {
    return x >> 53 ? 2048.0 * (double)(x >> 11 | ((x & 2047) != 0)) : (double)x;
}
// x * y + z for 16-bit numbers, whose product is exact.
SIMT_INLINE float simt_odd_fma(float x, float y, float z) {
    const double product = (double)x * y, sum = product + z, part = sum - product;
    return simt_odd_float(simt_odd<double, uint64_t>(sum, (product - (sum - part)) + (z - part)));
}

#define SIMT_SMALL_FLOAT(T, T2, Other, to_float, from_float)                                                            \
    struct T {                                                                                                     \
        uint16_t simt_raw;                                                                                         \
        T() = default;                                                                                             \
        SIMT_UNCHECKED T(struct Other v);                                                                          \
        SIMT_UNCHECKED T(float v) : simt_raw(from_float(v)) {}                                                     \
        SIMT_UNCHECKED T(double v) : T(simt_odd_float(v)) {}                                                       \
        SIMT_UNCHECKED T(short v) : T((float)v) {}                                                                 \
        SIMT_UNCHECKED T(unsigned short v) : T((float)v) {}                                                        \
        SIMT_UNCHECKED T(int v) : T((double)v) {}                                                                  \
        SIMT_UNCHECKED T(unsigned v) : T((double)v) {}                                                             \
        SIMT_UNCHECKED T(long v) : T((long long)v) {}                                                              \
        SIMT_UNCHECKED T(unsigned long v) : T(simt_odd_double(v)) {}                                               \
        SIMT_UNCHECKED T(long long v) : T(v < 0 ? -simt_odd_double(0ull - v) : simt_odd_double(v)) {}              \
        SIMT_UNCHECKED T(unsigned long long v) : T(simt_odd_double(v)) {}                                          \
        operator float() const { return to_float(simt_raw); }                                                      \
        operator bool() const { return simt_raw << 1 & 0xffff; }                                                   \
        template <class Integer> Integer simt_to() const {                                                         \
            return simt_to_integer<Integer>(truncf(to_float(simt_raw)));                                           \
        }                                                                                                          \
        operator char() const { return simt_to<char>(); }                                                          \
        operator signed char() const { return simt_to<signed char>(); }                                            \
        operator unsigned char() const { return simt_to<unsigned char>(); }                                        \
        operator short() const { return simt_to<short>(); }                                                        \
        operator unsigned short() const { return simt_to<unsigned short>(); }                                      \
        operator int() const { return simt_to<int>(); }                                                            \
        operator unsigned() const { return simt_to<unsigned>(); }                                                  \
        operator long() const { return simt_to<long>(); }                                                          \
        operator unsigned long() const { return simt_to<unsigned long>(); }                                        \
        operator long long() const { return simt_to<long long>(); }                                                \
        operator unsigned long long() const { return simt_to<unsigned long long>(); }                              \
    };                                                                                                             \
    struct alignas(4) T2 {                                                                                         \
        T x, y;                                                                                                    \
        T2() = default;                                                                                            \
        SIMT_UNCHECKED T2(T x_, T y_) : x(x_), y(y_) {}                                                            \
    };
SIMT_SMALL_FLOAT(__half, __half2, __nv_bfloat16, simt_half_to_float, simt_float_to_half)
SIMT_SMALL_FLOAT(__nv_bfloat16, __nv_bfloat162, __half, simt_bfloat16_to_float, simt_float_to_bfloat16)
SIMT_UNCHECKED inline __half::__half(__nv_bfloat16 v) : __half((float)v) {}
SIMT_UNCHECKED inline __nv_bfloat16::__nv_bfloat16(__half v) : __nv_bfloat16((float)v) {}
typedef __half half;
typedef __half2 half2;
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

#define Small __half
#define Small2 __half2
#include "small_float.h"
#undef Small
#undef Small2
#define Small __nv_bfloat16
#define Small2 __nv_bfloat162
#include "small_float.h"
#undef Small
#undef Small2

// `v` rounded in a direction: the nearest number, or its neighbour if that lies on the wrong side.
template <class T, SimtRounding Mode> SIMT_INLINE T simt_small(double v) {
    T near(v);
    const double got = (float)near;
    const bool down = got > v && (Mode == SIMT_RD || (Mode == SIMT_RZ && v > 0));
    const bool up = got < v && (Mode == SIMT_RU || (Mode == SIMT_RZ && v < 0));
    if (down || up) near.simt_raw += up == (v > 0) ? 1 : -1;
    return near;
}

#define SIMT_SMALL_FROM(T, name, From, to_double)                                                       \
    SIMT_INLINE T name##_rn(From v) { return T(v); }                                                    \
    SIMT_INLINE T name##_rz(From v) { return simt_small<T, SIMT_RZ>(to_double##_rz(v)); }               \
    SIMT_INLINE T name##_rd(From v) { return simt_small<T, SIMT_RD>(to_double##_rd(v)); }               \
    SIMT_INLINE T name##_ru(From v) { return simt_small<T, SIMT_RU>(to_double##_ru(v)); }
#define SIMT_SMALL_INTEGER(T, word, Integer, integer, to_double)                                        \
    SIMT_SMALL_FROM(T, __##integer##2##word, Integer, to_double)                                        \
    SIMT_INLINE Integer __##word##2##integer##_rn(T v) { return simt_to_integer<Integer>(rintf(v)); }   \
    SIMT_INLINE Integer __##word##2##integer##_rz(T v) { return simt_to_integer<Integer>(truncf(v)); }  \
    SIMT_INLINE Integer __##word##2##integer##_rd(T v) { return simt_to_integer<Integer>(floorf(v)); }  \
    SIMT_INLINE Integer __##word##2##integer##_ru(T v) { return simt_to_integer<Integer>(ceilf(v)); }
#define simt_exact_rz(v) (v)
#define simt_exact_rd(v) (v)
#define simt_exact_ru(v) (v)

// The names that contain a type: `word` is half or bfloat16.
#define SIMT_SMALL_NAMES(T, T2, word)                                                                        \
    SIMT_SMALL_INTEGER(T, word, short, short, simt_exact)                                                    \
    SIMT_SMALL_INTEGER(T, word, unsigned short, ushort, simt_exact)                                          \
    SIMT_SMALL_INTEGER(T, word, int, int, simt_exact)                                                        \
    SIMT_SMALL_INTEGER(T, word, unsigned, uint, simt_exact)                                                  \
    SIMT_SMALL_INTEGER(T, word, long long, ll, __ll2double)                                                  \
    SIMT_SMALL_INTEGER(T, word, unsigned long long, ull, __ull2double)                                       \
    SIMT_SMALL_FROM(T, __float2##word, float, simt_exact)                                                    \
    SIMT_INLINE signed char __##word##2char_rz(T v) { return (signed char)v; }                               \
    SIMT_INLINE unsigned char __##word##2uchar_rz(T v) { return (unsigned char)v; }                          \
    SIMT_INLINE float __##word##2float(T v) { return v; }                                                    \
    SIMT_INLINE T __float2##word(float v) { return T(v); }                                                   \
    SIMT_INLINE T __double2##word(double v) { return T(v); }                                                 \
    SIMT_INLINE T __short_as_##word(short bits) { return simt_bits<T>(bits); }                               \
    SIMT_INLINE T __ushort_as_##word(unsigned short bits) { return simt_bits<T>(bits); }                     \
    SIMT_INLINE short __##word##_as_short(T v) { return (short)v.simt_raw; }                                 \
    SIMT_INLINE unsigned short __##word##_as_ushort(T v) { return v.simt_raw; }                              \
    SIMT_INLINE T2 make_##word##2(T x, T y) { return {x, y}; }                                               \
    SIMT_INLINE T2 __##word##2##word##2(T v) { return {v, v}; }                                              \
    SIMT_INLINE T2 __halves2##word##2(T x, T y) { return {x, y}; }                                           \
    SIMT_INLINE T2 __float2##word##2_rn(float v) { return {T(v), T(v)}; }                                    \
    SIMT_INLINE T2 __floats2##word##2_rn(float x, float y) { return {T(x), T(y)}; }                          \
    SIMT_INLINE T2 __float22##word##2_rn(float2 v) { return {T(v.x), T(v.y)}; }                              \
    SIMT_INLINE float2 __##word##22float2(T2 v) { return {(float)v.x, (float)v.y}; }                         \
    SIMT_INLINE T __low2##word(T2 v) { return v.x; }                                                         \
    SIMT_INLINE T __high2##word(T2 v) { return v.y; }                                                        \
    SIMT_INLINE T2 __low2##word##2(T2 v) { return {v.x, v.x}; }                                              \
    SIMT_INLINE T2 __high2##word##2(T2 v) { return {v.y, v.y}; }                                             \
    SIMT_INLINE T2 __lows2##word##2(T2 a, T2 b) { return {a.x, b.x}; }                                       \
    SIMT_INLINE T2 __highs2##word##2(T2 a, T2 b) { return {a.y, b.y}; }
SIMT_SMALL_NAMES(__half, __half2, half)
SIMT_SMALL_NAMES(__nv_bfloat16, __nv_bfloat162, bfloat16)
