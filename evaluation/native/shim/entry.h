// What the runner needs to call a kernel: its parameter types as text, and a function that unpacks arguments.
#pragma once

namespace simt {

// One letter per parameter; the runner's launch.cpp converts the planned arguments by it. `x` is a type that
// a launch line cannot give (a structure, a half).
template <class T> struct Code { static constexpr char value = 'x'; };
template <class T> struct Code<T*> { static constexpr char value = 'p'; };
#define SIMT_CODE(T, letter) template <> struct Code<T> { static constexpr char value = letter; };
SIMT_CODE(bool, '?')
SIMT_CODE(char, 'c')
SIMT_CODE(signed char, 'c')
SIMT_CODE(unsigned char, 'C')
SIMT_CODE(short, 's')
SIMT_CODE(unsigned short, 'S')
SIMT_CODE(int, 'i')
SIMT_CODE(unsigned, 'I')
SIMT_CODE(long, 'l')
SIMT_CODE(unsigned long, 'L')
SIMT_CODE(long long, 'l')
SIMT_CODE(unsigned long long, 'L')
SIMT_CODE(float, 'f')
SIMT_CODE(double, 'd')
#undef SIMT_CODE

template <unsigned... Index> struct Indices {};
template <unsigned Count, unsigned... Index> struct CountTo : CountTo<Count - 1, Count - 1, Index...> {};
template <unsigned... Index> struct CountTo<0, Index...> { using type = Indices<Index...>; };
template <class Kernel> struct Entry;
template <class... Parameter> struct Entry<void(Parameter...)> {
    static constexpr char signature[sizeof...(Parameter) + 1] = {Code<Parameter>::value..., 0};
    template <unsigned... Index>
    SIMT_UNCHECKED __attribute__((always_inline)) static void unpack(void (*kernel)(Parameter...), void** arguments,
                                                                     Indices<Index...>) {
        kernel(*(Parameter*)arguments[Index]...);
    }
    SIMT_UNCHECKED __attribute__((always_inline)) static void call(void (*kernel)(Parameter...), void** arguments) {
        unpack(kernel, arguments, typename CountTo<sizeof...(Parameter)>::type());
    }
};

}  // namespace simt

// `symbol` is what the runner asks for, what follows is the kernel as C++ calls it.
#define SIMT_KERNEL(symbol, ...)                                                                      \
    extern "C" {                                                                                      \
    extern const char* const simt_signature_##symbol;                                                 \
    const char* const simt_signature_##symbol = simt::Entry<decltype(::__VA_ARGS__)>::signature;      \
    SIMT_UNCHECKED void simt_call_##symbol(void** arguments) {                                        \
        simt::Entry<decltype(::__VA_ARGS__)>::call(::__VA_ARGS__, arguments);                         \
    }                                                                                                 \
    }
