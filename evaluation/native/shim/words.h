// SIMD within a word: each function for two 16-bit (name2) and for four 8-bit lanes (name4).
#pragma once

// `value` of the lanes x and y, which are promoted to int; it wraps around to the lane's width.
#define SIMT_WORD(name, Lane, value)                                                        \
    SIMT_INLINE unsigned name(unsigned a, unsigned b) {                                     \
        constexpr unsigned bits = 8 * sizeof(Lane), lane = ~0u >> (32 - bits);              \
        unsigned result = 0;                                                                \
        for (unsigned shift = 0; shift < 32; shift += bits) {                               \
            const int x = (Lane)(a >> shift), y = (Lane)(b >> shift);                       \
            result |= ((unsigned)(value) & lane) << shift;                                  \
        }                                                                                   \
        return result;                                                                      \
    }
#define SIMT_SIGNED(name, value) SIMT_WORD(name##2, short, value) SIMT_WORD(name##4, signed char, value)
#define SIMT_UNSIGNED(name, value) SIMT_WORD(name##2, unsigned short, value) SIMT_WORD(name##4, unsigned char, value)
SIMT_SIGNED(__vadd, x + y)
SIMT_SIGNED(__vsub, x - y)
SIMT_SIGNED(__vmaxs, max(x, y))
SIMT_SIGNED(__vmins, min(x, y))
SIMT_SIGNED(__vabsdiffs, abs(x - y))
SIMT_UNSIGNED(__vmaxu, max(x, y))
SIMT_UNSIGNED(__vminu, min(x, y))
SIMT_UNSIGNED(__vabsdiffu, abs(x - y))
SIMT_UNSIGNED(__vavgu, (x + y + 1) >> 1)
SIMT_UNSIGNED(__vhaddu, (x + y) >> 1)

// `lane` and `bits` are SIMT_WORD's.
#define SIMT_CLAMP_SIGNED(value) max(-1 - (int)(lane >> 1), min((int)(lane >> 1), value))
#define SIMT_CLAMP_UNSIGNED(value) max(0, min((int)lane, value))
SIMT_SIGNED(__vaddss, SIMT_CLAMP_SIGNED(x + y))
SIMT_SIGNED(__vsubss, SIMT_CLAMP_SIGNED(x - y))
SIMT_UNSIGNED(__vaddus, SIMT_CLAMP_UNSIGNED(x + y))
SIMT_UNSIGNED(__vsubus, SIMT_CLAMP_UNSIGNED(x - y))

// A comparison sets all bits of a lane (__vcmp) or its lowest (__vset).
#define SIMT_COMPARE(SIGN, name, comparison) SIGN(__vcmp##name, -(comparison)) SIGN(__vset##name, comparison)
SIMT_COMPARE(SIMT_SIGNED, eq, x == y)
SIMT_COMPARE(SIMT_SIGNED, ne, x != y)
SIMT_COMPARE(SIMT_SIGNED, ges, x >= y)
SIMT_COMPARE(SIMT_SIGNED, gts, x > y)
SIMT_COMPARE(SIMT_SIGNED, les, x <= y)
SIMT_COMPARE(SIMT_SIGNED, lts, x < y)
SIMT_COMPARE(SIMT_UNSIGNED, geu, x >= y)
SIMT_COMPARE(SIMT_UNSIGNED, gtu, x > y)
SIMT_COMPARE(SIMT_UNSIGNED, leu, x <= y)
SIMT_COMPARE(SIMT_UNSIGNED, ltu, x < y)
#undef SIMT_COMPARE

#define SIMT_UNARY_WORD(name, binary)                                         \
    SIMT_INLINE unsigned name##2(unsigned a) { return binary##2(0, a); }      \
    SIMT_INLINE unsigned name##4(unsigned a) { return binary##4(0, a); }
SIMT_UNARY_WORD(__vneg, __vsub)
SIMT_UNARY_WORD(__vnegss, __vsubss)
SIMT_UNARY_WORD(__vabs, __vabsdiffs)
SIMT_INLINE unsigned __vabsss2(unsigned a) { return __vmaxs2(a, __vnegss2(a)); }
SIMT_INLINE unsigned __vabsss4(unsigned a) { return __vmaxs4(a, __vnegss4(a)); }

#define SIMT_SUM(name, Lane)                                                                \
    SIMT_INLINE unsigned name(unsigned a, unsigned b) {                                     \
        unsigned sum = 0;                                                                   \
        for (unsigned shift = 0; shift < 32; shift += 8 * sizeof(Lane))                     \
            sum += (unsigned)abs((Lane)(a >> shift) - (Lane)(b >> shift));                  \
        return sum;                                                                         \
    }
SIMT_SUM(__vsads2, short)
SIMT_SUM(__vsads4, signed char)
SIMT_SUM(__vsadu2, unsigned short)
SIMT_SUM(__vsadu4, unsigned char)
