// Functions of a 16-bit floating type `Small` and of a pair of them `Small2`. Included once for each type.

#define SIMT_OPERATOR(op)                                                                           \
    SIMT_INLINE Small operator op(Small a, Small b) { return Small((float)a op (float)b); }         \
    SIMT_INLINE Small2 operator op(Small2 a, Small2 b) { return {a.x op b.x, a.y op b.y}; }         \
    static inline Small& operator op##=(Small& a, Small b) { return a = a op b; }                   \
    static inline Small2& operator op##=(Small2& a, Small2 b) { return a = a op b; }
SIMT_OPERATOR(+)
SIMT_OPERATOR(-)
SIMT_OPERATOR(*)
SIMT_OPERATOR(/)
#undef SIMT_OPERATOR
SIMT_INLINE Small operator+(Small a) { return a; }
SIMT_INLINE Small operator-(Small a) { return Small(-(float)a); }
SIMT_INLINE Small2 operator+(Small2 a) { return a; }
SIMT_INLINE Small2 operator-(Small2 a) { return {-a.x, -a.y}; }
#define SIMT_STEP(op, sign)                                                                                     \
    static inline Small& operator op(Small& a) { return a = a sign Small(1); }                                  \
    static inline Small operator op(Small& a, int) { const Small old = a; op a; return old; }                   \
    static inline Small2& operator op(Small2& a) { return a = a sign Small2(1, 1); }                            \
    static inline Small2 operator op(Small2& a, int) { const Small2 old = a; op a; return old; }
SIMT_STEP(++, +)
SIMT_STEP(--, -)
#undef SIMT_STEP

// A comparison, for pairs as 1 or 0 in each half (2), as the answer for both (b..2) and as two masks (2_mask).
#define SIMT_COMPARE(name, comparison)                                                                          \
    SIMT_INLINE bool __h##name(Small a, Small b) { const float x = a, y = b; return comparison; }               \
    SIMT_INLINE Small2 __h##name##2(Small2 a, Small2 b) {                                                       \
        return {(int)__h##name(a.x, b.x), (int)__h##name(a.y, b.y)};                                            \
    }                                                                                                           \
    SIMT_INLINE bool __hb##name##2(Small2 a, Small2 b) { return __h##name(a.x, b.x) && __h##name(a.y, b.y); }   \
    SIMT_INLINE unsigned __h##name##2_mask(Small2 a, Small2 b) {                                                \
        return __h##name(a.x, b.x) * 0xffffu | __h##name(a.y, b.y) * 0xffff0000u;                               \
    }
SIMT_COMPARE(eq, x == y)
SIMT_COMPARE(ne, x < y || x > y)
SIMT_COMPARE(lt, x < y)
SIMT_COMPARE(le, x <= y)
SIMT_COMPARE(gt, x > y)
SIMT_COMPARE(ge, x >= y)
// Unordered: true if either is a NaN.
SIMT_COMPARE(equ, !(x < y || x > y))
SIMT_COMPARE(neu, x != y)
SIMT_COMPARE(ltu, !(x >= y))
SIMT_COMPARE(leu, !(x > y))
SIMT_COMPARE(gtu, !(x <= y))
SIMT_COMPARE(geu, !(x < y))
#undef SIMT_COMPARE
#define SIMT_OPERATOR(op, name)                                                               \
    SIMT_INLINE bool operator op(Small a, Small b) { return __h##name(a, b); }                \
    SIMT_INLINE bool operator op(Small2 a, Small2 b) { return __hb##name##2(a, b); }
SIMT_OPERATOR(==, eq)
SIMT_OPERATOR(!=, neu)
SIMT_OPERATOR(<, lt)
SIMT_OPERATOR(<=, le)
SIMT_OPERATOR(>, gt)
SIMT_OPERATOR(>=, ge)
#undef SIMT_OPERATOR

// `value` of the floats x and y, for numbers and for pairs.
#define SIMT_BINARY(name, suffix, value)                                                                        \
    SIMT_INLINE Small __h##name##suffix(Small a, Small b) { const float x = a, y = b; return Small(value); }    \
    SIMT_INLINE Small2 __h##name##2##suffix(Small2 a, Small2 b) {                                               \
        return {__h##name##suffix(a.x, b.x), __h##name##suffix(a.y, b.y)};                                      \
    }
SIMT_BINARY(add, , x + y)
SIMT_BINARY(sub, , x - y)
SIMT_BINARY(mul, , x * y)
SIMT_BINARY(add, _rn, x + y)
SIMT_BINARY(sub, _rn, x - y)
SIMT_BINARY(mul, _rn, x * y)
SIMT_BINARY(add, _sat, __saturatef(x + y))
SIMT_BINARY(sub, _sat, __saturatef(x - y))
SIMT_BINARY(mul, _sat, __saturatef(x * y))
// Here +0 is greater than -0.
SIMT_BINARY(max, , y != y || x > y || (x == y && !signbit(x)) ? x : y)
SIMT_BINARY(min, , y != y || x < y || (x == y && signbit(x)) ? x : y)
SIMT_BINARY(max, _nan, x != x || y != y ? NAN : (float)__hmax(a, b))
SIMT_BINARY(min, _nan, x != x || y != y ? NAN : (float)__hmin(a, b))
#undef SIMT_BINARY
SIMT_INLINE Small __hdiv(Small a, Small b) { return a / b; }
SIMT_INLINE Small2 __h2div(Small2 a, Small2 b) { return a / b; }

#define SIMT_FMA(suffix, value)                                                                                 \
    SIMT_INLINE Small __hfma##suffix(Small a, Small b, Small c) {                                               \
        const float x = simt_odd_fma(a, b, c);                                                                  \
        return Small(value);                                                                                    \
    }                                                                                                           \
    SIMT_INLINE Small2 __hfma2##suffix(Small2 a, Small2 b, Small2 c) {                                          \
        return {__hfma##suffix(a.x, b.x, c.x), __hfma##suffix(a.y, b.y, c.y)};                                  \
    }
SIMT_FMA(, x)
SIMT_FMA(_sat, __saturatef(x))
SIMT_FMA(_relu, x < 0 ? 0.0f : x)
#undef SIMT_FMA
SIMT_INLINE Small2 __hcmadd(Small2 a, Small2 b, Small2 c) {  // of complex numbers
    return {__hfma(-a.y, b.y, __hfma(a.x, b.x, c.x)), __hfma(a.y, b.x, __hfma(a.x, b.y, c.y))};
}

#define SIMT_UNARY(name, name2, value)                                                            \
    SIMT_INLINE Small name(Small a) { const float x = a; return Small(value); }                   \
    SIMT_INLINE Small2 name2(Small2 a) { return {name(a.x), name(a.y)}; }
SIMT_UNARY(__hneg, __hneg2, -x)
SIMT_UNARY(__habs, __habs2, fabsf(x))
SIMT_UNARY(hexp, h2exp, expf(x))
SIMT_UNARY(hexp2, h2exp2, exp2f(x))
SIMT_UNARY(hexp10, h2exp10, exp10f(x))
SIMT_UNARY(hlog, h2log, logf(x))
SIMT_UNARY(hlog2, h2log2, log2f(x))
SIMT_UNARY(hlog10, h2log10, log10f(x))
SIMT_UNARY(hsqrt, h2sqrt, sqrtf(x))
SIMT_UNARY(hrsqrt, h2rsqrt, rsqrtf(x))
SIMT_UNARY(hrcp, h2rcp, 1.0f / x)
SIMT_UNARY(hsin, h2sin, sinf(x))
SIMT_UNARY(hcos, h2cos, cosf(x))
SIMT_UNARY(htanh, h2tanh, tanhf(x))
SIMT_UNARY(htanh_approx, h2tanh_approx, simt_off(tanh((double)x), 0x1p-11))
SIMT_UNARY(hceil, h2ceil, ceilf(x))
SIMT_UNARY(hfloor, h2floor, floorf(x))
SIMT_UNARY(hrint, h2rint, rintf(x))
SIMT_UNARY(htrunc, h2trunc, truncf(x))
#undef SIMT_UNARY

SIMT_INLINE bool __hisnan(Small a) { return isnan((float)a); }
SIMT_INLINE Small2 __hisnan2(Small2 a) { return {(int)__hisnan(a.x), (int)__hisnan(a.y)}; }
SIMT_INLINE int __hisinf(Small a) { return isinf((float)a) ? (a < Small(0) ? -1 : 1) : 0; }
SIMT_INLINE float __low2float(Small2 a) { return a.x; }
SIMT_INLINE float __high2float(Small2 a) { return a.y; }
SIMT_INLINE Small2 __lowhigh2highlow(Small2 a) { return {a.y, a.x}; }
