// Atomics. One operating-system thread runs all fibers, so a plain read-modify-write is atomic; the runner is
// told of each, to check bounds and to keep atomics apart from data races.
#pragma once

extern "C" void simt_atomic(void* address, int bytes);
extern "C" void simt_exchange(void* address, int bytes);
extern "C" void simt_read_only(const void* address, int bytes);

// CUDA has each function for some types only, and no conversion leads to another.
#define SIMT_FOR(name, ...) \
    static_assert(std::warpsmith_is_one_of<T, __VA_ARGS__>::value, "CUDA has no " name " for this type");
#define SIMT_HALVES __half, __half2, __nv_bfloat16, __nv_bfloat162
#define SIMT_WIDE unsigned long long

// noinline: at -O1 an inlined body would lose `no_sanitize` and be taken for a plain access.
#define SIMT_ATOMIC(name, result, ...) SIMT_UPDATE(name, simt_atomic, result, __VA_ARGS__)
#define SIMT_UPDATE(name, announce, result, ...)                                                             \
    template <class T, class U> SIMT_UNCHECKED __attribute__((noinline)) static T name(T* address, U operand) { \
        SIMT_FOR(#name, __VA_ARGS__)                                                                 \
        announce((void*)address, sizeof(T));                                                         \
        const T value = (T)operand, old = *address;                                                  \
        *address = (T)(result);                                                                      \
        return old;                                                                                  \
    }                                                                                                \
    template <class T, class U> SIMT_INLINE T name##_block(T* address, U operand) { return name(address, operand); } \
    template <class T, class U> SIMT_INLINE T name##_system(T* address, U operand) { return name(address, operand); }
SIMT_ATOMIC(atomicAdd, old + value, int, unsigned, SIMT_WIDE, float, double, SIMT_HALVES)
SIMT_ATOMIC(atomicSub, old - value, int, unsigned)
SIMT_UPDATE(atomicExch, simt_exchange, value, int, unsigned, SIMT_WIDE, float)
SIMT_ATOMIC(atomicMin, value < old ? value : old, int, unsigned, long long, SIMT_WIDE)
SIMT_ATOMIC(atomicMax, value > old ? value : old, int, unsigned, long long, SIMT_WIDE)
SIMT_ATOMIC(atomicAnd, old& value, int, unsigned, long long, SIMT_WIDE)
SIMT_ATOMIC(atomicOr, old | value, int, unsigned, long long, SIMT_WIDE)
SIMT_ATOMIC(atomicXor, old ^ value, int, unsigned, long long, SIMT_WIDE)
SIMT_ATOMIC(atomicInc, old >= value ? 0 : old + 1, unsigned)
SIMT_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1, unsigned)

// A failed exchange lets the other threads of the block run, so that a spinning lock makes progress.
template <class T, class U, class V>
SIMT_UNCHECKED __attribute__((noinline)) static T atomicCAS(T* address, U compare, V value) {
    SIMT_FOR("atomicCAS", int, unsigned, SIMT_WIDE, unsigned short)
    simt_atomic((void*)address, sizeof(T));
    const T old = *address;
    if (old == (T)compare) *address = (T)value;
    else simt_yield();
    return old;
}

// Cache hints: plain loads and stores, checked like any other. The pointer alone says what type is stored.
template <class T> struct SimtPointee { using type = T; };
#define SIMT_FOR_HINTS                                                                                               \
    SIMT_FOR("cache hint", char, signed char, unsigned char, short, unsigned short, int, unsigned, long, unsigned long, \
             long long, unsigned long long, float, double, SIMT_HALVES, char2, char4, uchar2, uchar4, short2, short4,   \
             ushort2, ushort4, int2, int4, uint2, uint4, longlong2, ulonglong2, float2, float4, double2)
#define SIMT_LOAD_HINT(name)                                    \
    template <class T> static inline T name(const T* address) { \
        SIMT_FOR_HINTS                                          \
        return *address;                                        \
    }
#define SIMT_STORE_HINT(name)                                                                     \
    template <class T> static inline void name(T* address, typename SimtPointee<T>::type value) { \
        SIMT_FOR_HINTS                                                                            \
        *address = value;                                                                         \
    }
template <class T> static inline T __ldg(const T* address) {
    SIMT_FOR_HINTS
    simt_read_only(address, sizeof(T));
    return *address;
}
SIMT_LOAD_HINT(__ldca)
SIMT_LOAD_HINT(__ldcg)
SIMT_LOAD_HINT(__ldcs)
SIMT_LOAD_HINT(__ldlu)
SIMT_LOAD_HINT(__ldcv)
SIMT_STORE_HINT(__stwb)
SIMT_STORE_HINT(__stcg)
SIMT_STORE_HINT(__stcs)
SIMT_STORE_HINT(__stwt)
