// Atomics. One operating-system thread runs all fibers, so a plain read-modify-write is atomic; the runner is
// told of each, to check bounds and to keep atomics apart from data races.
#pragma once

extern "C" void simt_atomic(void* address, int bytes);
extern "C" void simt_exchange(void* address, int bytes);
extern "C" void simt_read_only(const void* address, int bytes);

// noinline: at -O1 an inlined body would lose `no_sanitize` and be taken for a plain access.
#define SIMT_ATOMIC(name, result) SIMT_UPDATE(name, simt_atomic, result)
#define SIMT_UPDATE(name, announce, result)                                                                  \
    template <class T, class U> SIMT_UNCHECKED __attribute__((noinline)) static T name(T* address, U operand) { \
        announce((void*)address, sizeof(T));                                                         \
        const T value = (T)operand, old = *address;                                                  \
        *address = (T)(result);                                                                      \
        return old;                                                                                  \
    }                                                                                                \
    template <class T, class U> SIMT_INLINE T name##_block(T* address, U operand) { return name(address, operand); } \
    template <class T, class U> SIMT_INLINE T name##_system(T* address, U operand) { return name(address, operand); }
SIMT_ATOMIC(atomicAdd, old + value)
SIMT_ATOMIC(atomicSub, old - value)
SIMT_UPDATE(atomicExch, simt_exchange, value)
SIMT_ATOMIC(atomicMin, value < old ? value : old)
SIMT_ATOMIC(atomicMax, value > old ? value : old)
SIMT_ATOMIC(atomicAnd, old& value)
SIMT_ATOMIC(atomicOr, old | value)
SIMT_ATOMIC(atomicXor, old ^ value)
SIMT_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
SIMT_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)

// A failed exchange lets the other threads of the block run, so that a spinning lock makes progress.
template <class T, class U, class V>
SIMT_UNCHECKED __attribute__((noinline)) static T atomicCAS(T* address, U compare, V value) {
    simt_atomic((void*)address, sizeof(T));
    const T old = *address;
    if (old == (T)compare) *address = (T)value;
    else simt_yield();
    return old;
}

// Cache hints: plain loads and stores, checked like any other. The pointer alone says what type is stored.
template <class T> struct SimtPointee { using type = T; };
#define SIMT_LOAD_HINT(name) template <class T> static inline T name(const T* address) { return *address; }
#define SIMT_STORE_HINT(name)                                                                   \
    template <class T> static inline void name(T* address, typename SimtPointee<T>::type value) { *address = value; }
template <class T> static inline T __ldg(const T* address) {
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
