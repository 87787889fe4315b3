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
SIMT_INLINE float scalbnf(float x, int exponent) { return ldexpf(x, exponent); }
SIMT_INLINE double scalbn(double x, int exponent) { return ldexp(x, exponent); }
SIMT_INLINE int ilogbf(float x) { return (int)logbf(x); }
SIMT_INLINE int ilogb(double x) { return (int)logb(x); }
static inline float frexpf(float x, int* exponent) {
    *exponent = x == 0 ? 0 : ilogbf(x) + 1;
    return ldexpf(x, -*exponent);
}
SIMT_INLINE float nanf(const char*) { return NAN; }
SIMT_INLINE double nan(const char*) { return NAN; }
SIMT_INLINE double rsqrt(double x) { return 1.0 / sqrt(x); }
SIMT_INLINE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
SIMT_INLINE float rsqrt(float x) { return rsqrtf(x); }
SIMT_INLINE double rcbrt(double x) { return 1.0 / cbrt(x); }
SIMT_INLINE float rcbrtf(float x) { return 1.0f / cbrtf(x); }
SIMT_INLINE float normcdff(float x) { return 0.5f * erfcf(-0.70710678118654752f * x); }
SIMT_INLINE double normcdf(double x) { return 0.5 * erfc(-0.70710678118654752 * x); }
SIMT_INLINE float erfcxf(float x) { return (float)(exp((double)x * x) * erfc((double)x)); }
SIMT_INLINE float norm3df(float x, float y, float z) { return sqrtf(x * x + y * y + z * z); }
SIMT_INLINE float rhypotf(float x, float y) { return 1.0f / hypotf(x, y); }
static inline float modff(float x, float* whole) { return *whole = truncf(x), x - *whole; }
static inline double modf(double x, double* whole) { return *whole = trunc(x), x - *whole; }
static inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
static inline void sincos(double x, double* sine, double* cosine) { *sine = sin(x), *cosine = cos(x); }
SIMT_INLINE float sinpif(float x) { return (float)sin(M_PI * x); }
SIMT_INLINE float cospif(float x) { return (float)cos(M_PI * x); }

SIMT_INLINE int abs(int x) { return x < 0 ? -x : x; }
SIMT_INLINE long abs(long x) { return x < 0 ? -x : x; }
SIMT_INLINE long long abs(long long x) { return x < 0 ? -x : x; }
SIMT_INLINE float abs(float x) { return fabsf(x); }
SIMT_INLINE double abs(double x) { return fabs(x); }
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
SIMT_INLINE long lrintf(float x) { return (long)rintf(x); }
SIMT_INLINE long lrint(float x) { return (long)rintf(x); }
SIMT_INLINE long lrint(double x) { return (long)rint(x); }
SIMT_INLINE long long llrintf(float x) { return (long long)rintf(x); }
SIMT_INLINE long lroundf(float x) { return (long)roundf(x); }

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
