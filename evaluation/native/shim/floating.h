// The 16-bit floating types, in software: arithmetic in float, rounded to nearest even.
#pragma once

extern "C" {
float simt_half_to_float(uint16_t bits) __attribute__((const));
uint16_t simt_float_to_half(float value) __attribute__((const));
float simt_bfloat16_to_float(uint16_t bits) __attribute__((const));
uint16_t simt_float_to_bfloat16(float value) __attribute__((const));
}

#define SIMT_SMALL_FLOAT(T, T2, to_float, from_float)                                              \
    struct T {                                                                                     \
        uint16_t simt_raw;                                                                         \
        T() = default;                                                                             \
        SIMT_UNCHECKED T(float v) : simt_raw(from_float(v)) {}                                     \
        SIMT_UNCHECKED T(double v) : simt_raw(from_float((float)v)) {}                             \
        SIMT_UNCHECKED T(int v) : simt_raw(from_float((float)v)) {}                                \
        SIMT_UNCHECKED T(unsigned v) : simt_raw(from_float((float)v)) {}                           \
        operator float() const { return to_float(simt_raw); }                                      \
        T& operator+=(T o) { return *this = T((float)*this + (float)o); }                          \
        T& operator-=(T o) { return *this = T((float)*this - (float)o); }                          \
        T& operator*=(T o) { return *this = T((float)*this * (float)o); }                          \
        T& operator/=(T o) { return *this = T((float)*this / (float)o); }                          \
        SIMT_UNCHECKED T operator-() const { return T(-(float)*this); }                            \
    };                                                                                             \
    struct alignas(4) T2 {                                                                         \
        T x, y;                                                                                    \
    };                                                                                             \
    SIMT_INLINE T operator+(T a, T b) { return T((float)a + (float)b); }                           \
    SIMT_INLINE T operator-(T a, T b) { return T((float)a - (float)b); }                           \
    SIMT_INLINE T operator*(T a, T b) { return T((float)a * (float)b); }                           \
    SIMT_INLINE T operator/(T a, T b) { return T((float)a / (float)b); }                           \
    SIMT_INLINE bool operator<(T a, T b) { return (float)a < (float)b; }                           \
    SIMT_INLINE bool operator>(T a, T b) { return (float)a > (float)b; }                           \
    SIMT_INLINE bool operator<=(T a, T b) { return (float)a <= (float)b; }                         \
    SIMT_INLINE bool operator>=(T a, T b) { return (float)a >= (float)b; }                         \
    SIMT_INLINE bool operator==(T a, T b) { return (float)a == (float)b; }                         \
    SIMT_INLINE bool operator!=(T a, T b) { return (float)a != (float)b; }                         \
    SIMT_INLINE T __hadd(T a, T b) { return a + b; }                                               \
    SIMT_INLINE T __hsub(T a, T b) { return a - b; }                                               \
    SIMT_INLINE T __hmul(T a, T b) { return a * b; }                                               \
    SIMT_INLINE T __hdiv(T a, T b) { return a / b; }                                               \
    SIMT_INLINE T __hneg(T a) { return -a; }                                                       \
    SIMT_INLINE T __habs(T a) { return T(fabsf(a)); }                                              \
    SIMT_INLINE T __hfma(T a, T b, T c) { return T((float)((double)(float)a * (float)b + (float)c)); } \
    SIMT_INLINE T __hmax(T a, T b) { return T(fmaxf(a, b)); }                                      \
    SIMT_INLINE T __hmin(T a, T b) { return T(fminf(a, b)); }                                      \
    SIMT_INLINE bool __hgt(T a, T b) { return a > b; }                                             \
    SIMT_INLINE bool __hge(T a, T b) { return a >= b; }                                            \
    SIMT_INLINE bool __hlt(T a, T b) { return a < b; }                                             \
    SIMT_INLINE bool __hle(T a, T b) { return a <= b; }                                            \
    SIMT_INLINE bool __heq(T a, T b) { return a == b; }                                            \
    SIMT_INLINE bool __hisnan(T a) { return isnan((float)a); }                                     \
    SIMT_INLINE T hexp(T a) { return T(expf(a)); }                                                 \
    SIMT_INLINE T hlog(T a) { return T(logf(a)); }                                                 \
    SIMT_INLINE T hsqrt(T a) { return T(sqrtf(a)); }                                               \
    SIMT_INLINE T hrsqrt(T a) { return T(rsqrtf(a)); }                                             \
    SIMT_INLINE T hrcp(T a) { return T(1.0f / (float)a); }                                         \
    SIMT_INLINE T htanh(T a) { return T(tanhf(a)); }                                               \
    SIMT_INLINE T2 make_##T2(T x, T y) { return {x, y}; }                                          \
    SIMT_INLINE T2 operator+(T2 a, T2 b) { return {a.x + b.x, a.y + b.y}; }                        \
    SIMT_INLINE T2 operator-(T2 a, T2 b) { return {a.x - b.x, a.y - b.y}; }                        \
    SIMT_INLINE T2 operator*(T2 a, T2 b) { return {a.x * b.x, a.y * b.y}; }                        \
    SIMT_INLINE T2 __hadd2(T2 a, T2 b) { return a + b; }                                           \
    SIMT_INLINE T2 __hsub2(T2 a, T2 b) { return a - b; }                                           \
    SIMT_INLINE T2 __hmul2(T2 a, T2 b) { return a * b; }                                           \
    SIMT_INLINE T2 __h2div(T2 a, T2 b) { return {a.x / b.x, a.y / b.y}; }                          \
    SIMT_INLINE T2 __hfma2(T2 a, T2 b, T2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; } \
    SIMT_INLINE T2 __hmax2(T2 a, T2 b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }            \
    SIMT_INLINE T2 __hmin2(T2 a, T2 b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }            \
    SIMT_INLINE T2 h2exp(T2 a) { return {hexp(a.x), hexp(a.y)}; }                                  \
    SIMT_INLINE T2 h2sqrt(T2 a) { return {hsqrt(a.x), hsqrt(a.y)}; }                               \
    SIMT_INLINE T2 h2rsqrt(T2 a) { return {hrsqrt(a.x), hrsqrt(a.y)}; }                            \
    SIMT_INLINE float __low2float(T2 a) { return a.x; }                                            \
    SIMT_INLINE float __high2float(T2 a) { return a.y; }

// Mixed operands would be ambiguous between the class's and the built-in operators without these.
#define SIMT_MIXED(T, U)                                                       \
    SIMT_INLINE float operator+(T a, U b) { return (float)a + (float)b; }      \
    SIMT_INLINE float operator+(U a, T b) { return (float)a + (float)b; }      \
    SIMT_INLINE float operator-(T a, U b) { return (float)a - (float)b; }      \
    SIMT_INLINE float operator-(U a, T b) { return (float)a - (float)b; }      \
    SIMT_INLINE float operator*(T a, U b) { return (float)a * (float)b; }      \
    SIMT_INLINE float operator*(U a, T b) { return (float)a * (float)b; }      \
    SIMT_INLINE float operator/(T a, U b) { return (float)a / (float)b; }      \
    SIMT_INLINE float operator/(U a, T b) { return (float)a / (float)b; }      \
    SIMT_INLINE bool operator<(T a, U b) { return (float)a < (float)b; }       \
    SIMT_INLINE bool operator>(T a, U b) { return (float)a > (float)b; }

SIMT_SMALL_FLOAT(__half, __half2, simt_half_to_float, simt_float_to_half)
SIMT_SMALL_FLOAT(__nv_bfloat16, __nv_bfloat162, simt_bfloat16_to_float, simt_float_to_bfloat16)
SIMT_MIXED(__half, float)
SIMT_MIXED(__half, int)
SIMT_MIXED(__nv_bfloat16, float)
SIMT_MIXED(__nv_bfloat16, int)
typedef __half half;
typedef __half2 half2;
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

SIMT_INLINE float __half2float(__half h) { return h; }
SIMT_INLINE __half __float2half(float v) { return __half(v); }
SIMT_INLINE __half __float2half_rn(float v) { return __half(v); }
SIMT_INLINE __half __double2half(double v) { return __half(v); }
SIMT_INLINE __half __int2half_rn(int v) { return __half(v); }
SIMT_INLINE int __half2int_rz(__half h) { return (int)(float)h; }
SIMT_INLINE int __half2int_rn(__half h) { return (int)rintf(h); }
SIMT_INLINE __half __ushort_as_half(unsigned short bits) { return simt_bits<__half>(bits); }
SIMT_INLINE unsigned short __half_as_ushort(__half h) { return h.simt_raw; }
SIMT_INLINE float2 __half22float2(__half2 v) { return {v.x, v.y}; }
SIMT_INLINE __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
SIMT_INLINE __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
SIMT_INLINE __half2 __float2half2_rn(float v) { return {__half(v), __half(v)}; }
SIMT_INLINE __half2 __half2half2(__half v) { return {v, v}; }
SIMT_INLINE __half2 __halves2half2(__half x, __half y) { return {x, y}; }
SIMT_INLINE __half __low2half(__half2 v) { return v.x; }
SIMT_INLINE __half __high2half(__half2 v) { return v.y; }

SIMT_INLINE float __bfloat162float(__nv_bfloat16 h) { return h; }
SIMT_INLINE __nv_bfloat16 __float2bfloat16(float v) { return __nv_bfloat16(v); }
SIMT_INLINE __nv_bfloat16 __float2bfloat16_rn(float v) { return __nv_bfloat16(v); }
SIMT_INLINE __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return simt_bits<__nv_bfloat16>(bits); }
SIMT_INLINE unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.simt_raw; }
SIMT_INLINE float2 __bfloat1622float2(__nv_bfloat162 v) { return {v.x, v.y}; }
SIMT_INLINE __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
SIMT_INLINE __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {__nv_bfloat16(v.x), __nv_bfloat16(v.y)}; }
SIMT_INLINE __nv_bfloat162 __float2bfloat162_rn(float v) { return {__nv_bfloat16(v), __nv_bfloat16(v)}; }
SIMT_INLINE __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
SIMT_INLINE __nv_bfloat16 __low2bfloat16(__nv_bfloat162 v) { return v.x; }
SIMT_INLINE __nv_bfloat16 __high2bfloat16(__nv_bfloat162 v) { return v.y; }
