// Mathematical functions: the C library's, with C++ overloads for float.
#pragma once

extern "C" {
#define UNARY(name) double name(double); float name##f(float);
#define BINARY(name) double name(double, double); float name##f(float, float);
#define TERNARY(name) double name(double, double, double); float name##f(float, float, float);
#include "math_names.def"
#undef UNARY
#undef BINARY
#undef TERNARY
double ldexp(double, int);
float ldexpf(float, int);
}
// As in CUDA, a function is there for float and for double only, so other mixtures are ambiguous; g++ would
// take some of them all the same.
#define UNARY(name) SIMT_INLINE float name(float x) { return name##f(x); }
#define BINARY(name)                                                         \
    SIMT_INLINE float name(float x, float y) { return name##f(x, y); }       \
    template <int = 0> double name(float, double) = delete;                  \
    template <int = 0> double name(double, float) = delete;
#define TERNARY(name) SIMT_INLINE float name(float x, float y, float z) { return name##f(x, y, z); }
#include "math_names.def"
#undef UNARY
#undef BINARY
#undef TERNARY
// Two exceptions: signs are copied across types, and every mixture has a power, in double unless a float is
// raised to an int.
SIMT_INLINE double copysign(float x, double y) { return copysign((double)x, y); }
SIMT_INLINE double copysign(double x, float y) { return copysign(x, (double)y); }
SIMT_INLINE double pow(float x, double y) { return pow((double)x, y); }
SIMT_INLINE double pow(double x, float y) { return pow(x, (double)y); }
SIMT_INLINE float pow(float x, int y) { return powf(x, (float)y); }
SIMT_INLINE double pow(double x, int y) { return pow(x, (double)y); }
SIMT_INLINE double pow(int x, int y) { return pow((double)x, (double)y); }
SIMT_INLINE double pow(int x, float y) { return pow((double)x, (double)y); }
SIMT_INLINE double pow(int x, double y) { return pow((double)x, y); }

SIMT_INLINE float ldexp(float x, int exponent) { return ldexpf(x, exponent); }
// Floating numbers to integers as a GPU converts them (PTX, `cvt`): what is out of range becomes the nearest number
// in range, and a NaN 0, or the highest bit where either side has 64 bits. `x` is integral.
template <class To, class From> SIMT_INLINE To simt_to_integer(From x) {
    constexpr int bits = 8 * sizeof(To);
    constexpr To highest = (To)(1ull << (bits - 1)), least = (To)-1 < 0 ? highest : 0, most = (To)~least;
    if (x != x) return sizeof(To) == 8 || sizeof(From) == 8 ? highest : 0;
    return x <= (From)least ? least : x >= (From)most ? most : (To)x;
}

SIMT_INLINE float scalbnf(float x, int exponent) { return ldexpf(x, exponent); }
SIMT_INLINE double scalbn(double x, int exponent) { return ldexp(x, exponent); }
SIMT_INLINE float scalbn(float x, int exponent) { return ldexpf(x, exponent); }
// Beyond 10000 either way every result is 0 or infinite.
SIMT_INLINE double scalbln(double x, long exponent) {
    return ldexp(x, exponent < -10000 ? -10000 : exponent > 10000 ? 10000 : (int)exponent);
}
SIMT_INLINE float scalblnf(float x, long exponent) { return (float)scalbln((double)x, exponent); }
SIMT_INLINE float scalbln(float x, long exponent) { return scalblnf(x, exponent); }
SIMT_INLINE int ilogbf(float x) { return simt_to_integer<int>(logbf(x)); }
SIMT_INLINE int ilogb(double x) { return simt_to_integer<int>(logb(x)); }
SIMT_INLINE int ilogb(float x) { return ilogbf(x); }
// What writes through a pointer is checked like the caller's own code.
static inline double frexp(double x, int* exponent) {
    *exponent = x == 0 || x - x != 0 ? 0 : ilogb(x) + 1;
    return ldexp(x, -*exponent);
}
static inline float frexpf(float x, int* exponent) { return (float)frexp((double)x, exponent); }
static inline float frexp(float x, int* exponent) { return frexpf(x, exponent); }
// The quotient's last three bits and its sign, as in CUDA.
static inline double remquo(double x, double y, int* quotient) {
    const double rest = remainder(x, y);
    const int eighth = simt_to_integer<int>(rint((fmod(x, 8 * y) - rest) / y));
    *quotient = eighth < 0 ? -(-eighth & 7) : eighth & 7;
    return rest;
}
static inline float remquof(float x, float y, int* quotient) { return (float)remquo((double)x, (double)y, quotient); }
static inline float remquo(float x, float y, int* quotient) { return remquof(x, y, quotient); }
template <int = 0> double remquo(float, double, int*) = delete;
template <int = 0> double remquo(double, float, int*) = delete;
SIMT_INLINE float nanf(const char*) { return NAN; }
SIMT_INLINE double nan(const char*) { return NAN; }
SIMT_INLINE double rsqrt(double x) { return 1.0 / sqrt(x); }
SIMT_INLINE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
SIMT_INLINE float rsqrt(float x) { return rsqrtf(x); }
SIMT_INLINE double rcbrt(double x) { return 1.0 / cbrt(x); }
SIMT_INLINE float rcbrtf(float x) { return 1.0f / cbrtf(x); }
SIMT_INLINE float rcbrt(float x) { return rcbrtf(x); }
SIMT_INLINE double normcdf(double x) { return 0.5 * erfc(-0.70710678118654752 * x); }
SIMT_INLINE double erfcx(double x) {
    if (x < 25) return exp(x * x) * erfc(x);
    const double t = 0.5 / (x * x);  // of the asymptotic series; erfc itself would soon be 0
    return 0.56418958354775629 / x * (1 - t * (1 - 3 * t * (1 - 5 * t * (1 - 7 * t))));
}
// Inverses by Halley's method, which triples the correct digits in a step. A difference from 1 is exact.
SIMT_INLINE double simt_erfinv_near_0(double x) {
    double y = 0.88622692545275801 * x * (1 + 0.26179938779914944 * x * x);
    for (int i = 0; i < 3; i++) {
        const double step = (erf(y) - x) / (1.1283791670955126 * exp(-y * y));
        y -= step / (1 + y * step);
    }
    return y;
}
SIMT_INLINE double erfcinv(double x) {
    if (x > 1.5) return -erfcinv(2 - x);
    if (x > 0.5) return simt_erfinv_near_0(1 - x);
    if (x == 0) return INFINITY;
    // Starts from formula 26.2.23 of Abramowitz and Stegun, which is right to 0.0005.
    const double t = sqrt(-2 * log(0.5 * x));
    double y = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    y *= 0.70710678118654752;
    for (int i = 0; i < 3; i++) {
        const double step = (x - erfc(y)) / (1.1283791670955126 * exp(-y * y));
        y -= step / (1 + y * step);
    }
    return y;
}
SIMT_INLINE double erfinv(double x) {
    return fabs(x) <= 0.5 ? simt_erfinv_near_0(x) : copysign(erfcinv(1 - fabs(x)), x);
}
SIMT_INLINE double normcdfinv(double x) { return -1.4142135623730951 * erfcinv(2 * x); }
// The reduction is exact, so that multiples of a half give exact results.
SIMT_INLINE double sinpi(double x) {
    const double r = remainder(x, 2.0);
    return sin(M_PI * (fabs(r) <= 0.5 ? r : copysign(1.0, r) - r));
}
SIMT_INLINE double cospi(double x) {
    const double r = fabs(remainder(x, 2.0));
    return r < 0.25 ? cos(M_PI * r) : sin(M_PI * (0.5 - r));
}
#define SIMT_BY_DOUBLE(name)                                                  \
    SIMT_INLINE float name##f(float x) { return (float)name((double)x); }     \
    SIMT_INLINE float name(float x) { return name##f(x); }
SIMT_BY_DOUBLE(normcdf)
SIMT_BY_DOUBLE(erfcx)
SIMT_BY_DOUBLE(erfinv)
SIMT_BY_DOUBLE(erfcinv)
SIMT_BY_DOUBLE(normcdfinv)
SIMT_BY_DOUBLE(sinpi)
SIMT_BY_DOUBLE(cospi)

SIMT_INLINE double rhypot(double x, double y) { return 1 / hypot(x, y); }
SIMT_INLINE double norm3d(double x, double y, double z) { return hypot(hypot(x, y), z); }
SIMT_INLINE double norm4d(double x, double y, double z, double w) { return hypot(hypot(x, y), hypot(z, w)); }
SIMT_INLINE double rnorm3d(double x, double y, double z) { return 1 / norm3d(x, y, z); }
SIMT_INLINE double rnorm4d(double x, double y, double z, double w) { return 1 / norm4d(x, y, z, w); }
SIMT_INLINE float rhypotf(float x, float y) { return (float)rhypot((double)x, (double)y); }
SIMT_INLINE float norm3df(float x, float y, float z) { return (float)norm3d(x, y, z); }
SIMT_INLINE float norm4df(float x, float y, float z, float w) { return (float)norm4d(x, y, z, w); }
SIMT_INLINE float rnorm3df(float x, float y, float z) { return (float)rnorm3d(x, y, z); }
SIMT_INLINE float rnorm4df(float x, float y, float z, float w) { return (float)rnorm4d(x, y, z, w); }
static inline double norm(int size, const double* x) {
    double total = 0;
    for (int i = 0; i < size; i++) total = hypot(total, x[i]);
    return total;
}
static inline float normf(int size, const float* x) {
    double total = 0;
    for (int i = 0; i < size; i++) total += (double)x[i] * x[i];
    return (float)sqrt(total);
}
static inline double rnorm(int size, const double* x) { return 1 / norm(size, x); }
static inline float rnormf(int size, const float* x) { return 1 / normf(size, x); }
static inline float modff(float x, float* whole) { return *whole = truncf(x), x - *whole; }
static inline double modf(double x, double* whole) { return *whole = trunc(x), x - *whole; }
static inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
static inline void sincos(double x, double* sine, double* cosine) { *sine = sin(x), *cosine = cos(x); }
static inline void sincospi(double x, double* sine, double* cosine) { *sine = sinpi(x), *cosine = cospi(x); }
static inline void sincospif(float x, float* sine, float* cosine) { *sine = sinpif(x), *cosine = cospif(x); }
static inline float modf(float x, float* whole) { return modff(x, whole); }
static inline void sincos(float x, float* sine, float* cosine) { sincosf(x, sine, cosine); }
static inline void sincospi(float x, float* sine, float* cosine) { sincospif(x, sine, cosine); }

SIMT_INLINE int abs(int x) { return x < 0 ? -x : x; }
SIMT_INLINE long abs(long x) { return x < 0 ? -x : x; }
SIMT_INLINE long long abs(long long x) { return x < 0 ? -x : x; }
SIMT_INLINE float abs(float x) { return fabsf(x); }
SIMT_INLINE double abs(double x) { return fabs(x); }
SIMT_INLINE long labs(long x) { return x < 0 ? -x : x; }
SIMT_INLINE long long llabs(long long x) { return x < 0 ? -x : x; }

// CUDA's overloads, and no others; a floating minimum or maximum ignores one NaN.
#define SIMT_EXTREMES(A, B, R)                                                        \
    SIMT_INLINE R max(A a, B b) { return (R)a > (R)b ? (R)a : (R)b; }                 \
    SIMT_INLINE R min(A a, B b) { return (R)a < (R)b ? (R)a : (R)b; }
#define SIMT_INTEGER_EXTREMES(T)              \
    SIMT_EXTREMES(T, T, T)                    \
    SIMT_EXTREMES(unsigned T, unsigned T, unsigned T) \
    SIMT_EXTREMES(T, unsigned T, unsigned T)  \
    SIMT_EXTREMES(unsigned T, T, unsigned T)
SIMT_INTEGER_EXTREMES(int)
SIMT_INTEGER_EXTREMES(long)
SIMT_INTEGER_EXTREMES(long long)
SIMT_INLINE float max(float a, float b) { return fmaxf(a, b); }
SIMT_INLINE float min(float a, float b) { return fminf(a, b); }
SIMT_INLINE double max(double a, double b) { return fmax(a, b); }
SIMT_INLINE double min(double a, double b) { return fmin(a, b); }
SIMT_INLINE double max(float a, double b) { return fmax((double)a, b); }
SIMT_INLINE double min(float a, double b) { return fmin((double)a, b); }
SIMT_INLINE double max(double a, float b) { return fmax(a, (double)b); }
SIMT_INLINE double min(double a, float b) { return fmin(a, (double)b); }
SIMT_INLINE long long llmax(long long a, long long b) { return max(a, b); }
SIMT_INLINE long long llmin(long long a, long long b) { return min(a, b); }
SIMT_INLINE unsigned long long ullmax(unsigned long long a, unsigned long long b) { return max(a, b); }
SIMT_INLINE unsigned long long ullmin(unsigned long long a, unsigned long long b) { return min(a, b); }
SIMT_INLINE unsigned umax(unsigned a, unsigned b) { return a > b ? a : b; }
SIMT_INLINE unsigned umin(unsigned a, unsigned b) { return a < b ? a : b; }

SIMT_INLINE bool isnan(float x) { return x != x; }
SIMT_INLINE bool isnan(double x) { return x != x; }
SIMT_INLINE bool isinf(float x) { return __builtin_isinf(x); }
SIMT_INLINE bool isinf(double x) { return __builtin_isinf(x); }
SIMT_INLINE bool isfinite(float x) { return __builtin_isfinite(x); }
SIMT_INLINE bool isfinite(double x) { return __builtin_isfinite(x); }
SIMT_INLINE bool signbit(float x) { return __builtin_signbit(x); }
SIMT_INLINE bool signbit(double x) { return __builtin_signbit(x); }
#define SIMT_TO_LONG(name, round)                                                                     \
    SIMT_INLINE long l##name(double x) { return simt_to_integer<long>(round(x)); }                    \
    SIMT_INLINE long l##name(float x) { return simt_to_integer<long>(round(x)); }                     \
    SIMT_INLINE long l##name##f(float x) { return l##name(x); }                                       \
    SIMT_INLINE long long ll##name(double x) { return simt_to_integer<long long>(round(x)); }         \
    SIMT_INLINE long long ll##name(float x) { return simt_to_integer<long long>(round(x)); }          \
    SIMT_INLINE long long ll##name##f(float x) { return ll##name(x); }
SIMT_TO_LONG(rint, rint)
SIMT_TO_LONG(round, round)

namespace std {
using ::int8_t; using ::uint8_t; using ::int16_t; using ::uint16_t; using ::int32_t; using ::uint32_t;
using ::int64_t; using ::uint64_t; using ::size_t; using ::ptrdiff_t; using ::uintptr_t;
#define UNARY(name) using ::name;
#define BINARY(name) using ::name;
#define TERNARY(name) using ::name;
#include "math_names.def"
#undef UNARY
#undef BINARY
#undef TERNARY
using ::abs; using ::isnan; using ::isinf; using ::isfinite; using ::signbit;
}  // namespace std
