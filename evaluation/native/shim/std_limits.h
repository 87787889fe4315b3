// <limits>: for the shim and for NVRTC.
#ifndef WARPSMITH_LIMITS
#define WARPSMITH_LIMITS
namespace std {

template <class T> struct numeric_limits {
    static constexpr bool is_specialized = false;
};
#define WARPSMITH_VALUE(T, name, result) \
    __host__ __device__ static constexpr T name() noexcept { return result; }
#define WARPSMITH_INTEGER(T, least, most, bits, Signed)                                                    \
    template <> struct numeric_limits<T> {                                                                \
        static constexpr bool is_specialized = true, is_integer = true, is_exact = true, is_signed = Signed; \
        static constexpr bool has_infinity = false, has_quiet_NaN = false;                                \
        static constexpr int digits = bits, digits10 = bits * 3 / 10, radix = 2;                          \
        WARPSMITH_VALUE(T, min, least)                                                                    \
        WARPSMITH_VALUE(T, lowest, least)                                                                 \
        WARPSMITH_VALUE(T, max, most)                                                                     \
        WARPSMITH_VALUE(T, epsilon, 0)                                                                    \
    };
WARPSMITH_INTEGER(bool, false, true, 1, false)
WARPSMITH_INTEGER(char, -128, 127, 7, true)
WARPSMITH_INTEGER(signed char, -128, 127, 7, true)
WARPSMITH_INTEGER(unsigned char, 0, 255, 8, false)
WARPSMITH_INTEGER(short, -32768, 32767, 15, true)
WARPSMITH_INTEGER(unsigned short, 0, 65535, 16, false)
WARPSMITH_INTEGER(int, -2147483647 - 1, 2147483647, 31, true)
WARPSMITH_INTEGER(unsigned, 0, 4294967295u, 32, false)
WARPSMITH_INTEGER(long, -9223372036854775807l - 1, 9223372036854775807l, 63, true)
WARPSMITH_INTEGER(unsigned long, 0, 18446744073709551615ul, 64, false)
WARPSMITH_INTEGER(long long, -9223372036854775807ll - 1, 9223372036854775807ll, 63, true)
WARPSMITH_INTEGER(unsigned long long, 0, 18446744073709551615ull, 64, false)

#define WARPSMITH_FLOATING(T, least, most, step, tiny, infinite, none, bits, decimals, exponent)                      \
    template <> struct numeric_limits<T> {                                                                \
        static constexpr bool is_specialized = true, is_integer = false, is_exact = false, is_signed = true; \
        static constexpr bool has_infinity = true, has_quiet_NaN = true, is_iec559 = true;                \
        static constexpr int digits = bits, digits10 = decimals, radix = 2;                               \
        static constexpr int max_exponent = exponent, min_exponent = 3 - exponent;                        \
        WARPSMITH_VALUE(T, min, least)                                                                    \
        WARPSMITH_VALUE(T, lowest, -most)                                                                 \
        WARPSMITH_VALUE(T, max, most)                                                                     \
        WARPSMITH_VALUE(T, epsilon, step)                                                                 \
        WARPSMITH_VALUE(T, round_error, (T)0.5)                                                           \
        WARPSMITH_VALUE(T, denorm_min, tiny)                                                              \
        WARPSMITH_VALUE(T, infinity, __builtin_bit_cast(T, infinite))                                          \
        WARPSMITH_VALUE(T, quiet_NaN, __builtin_bit_cast(T, none))                                            \
    };
WARPSMITH_FLOATING(float, 1.17549435e-38f, 3.40282347e+38f, 1.19209290e-07f, 1.40129846e-45f,
                   0x7f800000, 0x7fc00000, 24, 6, 128)
WARPSMITH_FLOATING(double, 2.2250738585072014e-308, 1.7976931348623157e+308, 2.2204460492503131e-16,
                   4.9406564584124654e-324, 0x7ff0000000000000, 0x7ff8000000000000, 53, 15, 1024)
#undef WARPSMITH_VALUE
#undef WARPSMITH_INTEGER
#undef WARPSMITH_FLOATING

}  // namespace std
#endif
