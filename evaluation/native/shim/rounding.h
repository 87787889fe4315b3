// Arithmetic and conversions that name their rounding mode: _rn to nearest, _rz towards zero, _rd down, _ru up.
#pragma once

// Values of MXCSR, the register that holds the mode, with every exception masked.
enum SimtRounding : unsigned { SIMT_RN = 0x1f80, SIMT_RD = 0x3f80, SIMT_RU = 0x5f80, SIMT_RZ = 0x7f80 };

// One instruction in a mode; the mode is back to nearest before any other code can run.
#define SIMT_IN_MODE(instruction) "ldmxcsr %[mode]\n\t" instruction "\n\tldmxcsr %[nearest]"
#define SIMT_MODES [mode] "m"(mode), [nearest] "m"(nearest)
#define SIMT_ROUNDED2(T, name, instruction)                                                     \
    template <SimtRounding Mode> SIMT_INLINE T name(T x, T y) {                                 \
        const unsigned mode = Mode, nearest = SIMT_RN;                                          \
        asm(SIMT_IN_MODE(instruction " %[y], %[x]") : [x] "+x"(x) : [y] "x"(y), SIMT_MODES);    \
        return x;                                                                               \
    }
#define SIMT_ROUNDED1(To, From, name, constraint, instruction)                                           \
    template <SimtRounding Mode> SIMT_INLINE To name(From x) {                                           \
        const unsigned mode = Mode, nearest = SIMT_RN;                                                   \
        To to = 0;                                                                                       \
        asm(SIMT_IN_MODE(instruction " %[x], %[to]") : [to] "+x"(to) : [x] constraint(x), SIMT_MODES);   \
        return to;                                                                                       \
    }
SIMT_ROUNDED2(float, simt_fadd, "addss")
SIMT_ROUNDED2(float, simt_fsub, "subss")
SIMT_ROUNDED2(float, simt_fmul, "mulss")
SIMT_ROUNDED2(float, simt_fdiv, "divss")
SIMT_ROUNDED1(float, float, simt_fsqrt, "x", "sqrtss")
SIMT_ROUNDED2(double, simt_dadd, "addsd")
SIMT_ROUNDED2(double, simt_dsub, "subsd")
SIMT_ROUNDED2(double, simt_dmul, "mulsd")
SIMT_ROUNDED2(double, simt_ddiv, "divsd")
SIMT_ROUNDED1(double, double, simt_dsqrt, "x", "sqrtsd")
SIMT_ROUNDED1(float, double, simt_to_float, "x", "cvtsd2ss")
SIMT_ROUNDED1(float, long long, simt_to_float, "r", "cvtsi2ssq")
SIMT_ROUNDED1(double, long long, simt_to_double, "r", "cvtsi2sdq")

// Half of a number too large for a signed one, its last bit set if that loses a bit: it rounds the same way.
SIMT_INLINE long long simt_half_of(unsigned long long x) { return (long long)(x >> 1 | (x & 1)); }
template <SimtRounding Mode> SIMT_INLINE float simt_to_float(unsigned long long x) {
    return (long long)x < 0 ? 2 * simt_to_float<Mode>(simt_half_of(x)) : simt_to_float<Mode>((long long)x);
}
template <SimtRounding Mode> SIMT_INLINE double simt_to_double(unsigned long long x) {
    return (long long)x < 0 ? 2 * simt_to_double<Mode>(simt_half_of(x)) : simt_to_double<Mode>((long long)x);
}
// The product is exact, and rounding twice in one direction is rounding once.
template <SimtRounding Mode> SIMT_INLINE float simt_ffma(float x, float y, float z) {
    return simt_to_float<Mode>(simt_dadd<Mode>((double)x * y, z));
}

#define SIMT_EACH_MODE(R, name, parameters, function, arguments, nearest)   \
    SIMT_INLINE R name##_rn parameters { return nearest; }                  \
    SIMT_INLINE R name##_rz parameters { return function<SIMT_RZ> arguments; } \
    SIMT_INLINE R name##_rd parameters { return function<SIMT_RD> arguments; } \
    SIMT_INLINE R name##_ru parameters { return function<SIMT_RU> arguments; }
SIMT_EACH_MODE(float, __fadd, (float x, float y), simt_fadd, (x, y), x + y)
SIMT_EACH_MODE(float, __fsub, (float x, float y), simt_fsub, (x, y), x - y)
SIMT_EACH_MODE(float, __fmul, (float x, float y), simt_fmul, (x, y), x * y)
SIMT_EACH_MODE(float, __fdiv, (float x, float y), simt_fdiv, (x, y), x / y)
SIMT_EACH_MODE(float, __frcp, (float x), simt_fdiv, (1.0f, x), 1.0f / x)
SIMT_EACH_MODE(float, __fsqrt, (float x), simt_fsqrt, (x), sqrtf(x))
SIMT_EACH_MODE(float, __fmaf, (float x, float y, float z), simt_ffma, (x, y, z), fmaf(x, y, z))
SIMT_EACH_MODE(double, __dadd, (double x, double y), simt_dadd, (x, y), x + y)
SIMT_EACH_MODE(double, __dsub, (double x, double y), simt_dsub, (x, y), x - y)
SIMT_EACH_MODE(double, __dmul, (double x, double y), simt_dmul, (x, y), x * y)
SIMT_EACH_MODE(double, __ddiv, (double x, double y), simt_ddiv, (x, y), x / y)
SIMT_EACH_MODE(double, __drcp, (double x), simt_ddiv, (1.0, x), 1.0 / x)
SIMT_EACH_MODE(double, __dsqrt, (double x), simt_dsqrt, (x), sqrt(x))
SIMT_INLINE double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

SIMT_EACH_MODE(float, __double2float, (double x), simt_to_float, (x), (float)x)
SIMT_EACH_MODE(float, __int2float, (int x), simt_to_float, ((long long)x), (float)x)
SIMT_EACH_MODE(float, __uint2float, (unsigned x), simt_to_float, ((long long)x), (float)x)
SIMT_EACH_MODE(float, __ll2float, (long long x), simt_to_float, (x), (float)x)
SIMT_EACH_MODE(float, __ull2float, (unsigned long long x), simt_to_float, (x), (float)x)
SIMT_EACH_MODE(double, __ll2double, (long long x), simt_to_double, (x), (double)x)
SIMT_EACH_MODE(double, __ull2double, (unsigned long long x), simt_to_double, (x), (double)x)
SIMT_INLINE double __int2double_rn(int x) { return x; }
SIMT_INLINE double __uint2double_rn(unsigned x) { return x; }

#define SIMT_TO_INTEGERS(name, To, From)                                            \
    SIMT_INLINE To name##_rn(From x) { return simt_to_integer<To>(rint(x)); }       \
    SIMT_INLINE To name##_rz(From x) { return simt_to_integer<To>(trunc(x)); }      \
    SIMT_INLINE To name##_rd(From x) { return simt_to_integer<To>(floor(x)); }      \
    SIMT_INLINE To name##_ru(From x) { return simt_to_integer<To>(ceil(x)); }
SIMT_TO_INTEGERS(__float2int, int, float)
SIMT_TO_INTEGERS(__float2uint, unsigned, float)
SIMT_TO_INTEGERS(__float2ll, long long, float)
SIMT_TO_INTEGERS(__float2ull, unsigned long long, float)
SIMT_TO_INTEGERS(__double2int, int, double)
SIMT_TO_INTEGERS(__double2uint, unsigned, double)
SIMT_TO_INTEGERS(__double2ll, long long, double)
SIMT_TO_INTEGERS(__double2ull, unsigned long long, double)
