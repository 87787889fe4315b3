// Warp-level operations: shuffles, votes, matches and integer reductions.
#pragma once

enum SimtWarpOperation {  // the runner's warp.cpp has the same list
    SIMT_WARP_SYNC, SIMT_WARP_INDEX, SIMT_WARP_UP, SIMT_WARP_DOWN, SIMT_WARP_XOR, SIMT_WARP_BALLOT,
    SIMT_WARP_MATCH, SIMT_WARP_ADD, SIMT_WARP_MIN, SIMT_WARP_MAX, SIMT_WARP_MIN_SIGNED,
    SIMT_WARP_MAX_SIGNED, SIMT_WARP_AND, SIMT_WARP_OR, SIMT_WARP_BITXOR
};
extern "C" uint64_t simt_warp(unsigned mask, int operation, uint64_t value, int argument, int width);
extern "C" unsigned simt_active_mask(int line);

#define __activemask() simt_active_mask(__LINE__)
SIMT_INLINE void __syncwarp(unsigned mask = 0xffffffffu) { simt_warp(mask, SIMT_WARP_SYNC, 0, 0, 32); }

struct __half;
struct __half2;
struct __nv_bfloat16;
struct __nv_bfloat162;
template <class To, class From> SIMT_INLINE To simt_bits(From from) {
    To to;
    __builtin_memcpy(&to, &from, sizeof to < sizeof from ? sizeof to : sizeof from);
    return to;
}
template <class T> SIMT_INLINE uint64_t simt_pack(T value) {
    static_assert(sizeof(T) <= 8, "a shuffled value has at most 8 bytes");
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    return bits;
}

#define SIMT_SHUFFLE(name, operation, Offset)                                                       \
    template <class T> SIMT_INLINE T name(unsigned mask, T value, Offset offset, int width = 32) {  \
        static_assert(std::is_arithmetic<T>::value ||                                               \
                          std::warpsmith_is_one_of<T, __half, __half2, __nv_bfloat16, __nv_bfloat162>::value, \
                      "CUDA shuffles no values of this type");                                      \
        return simt_bits<T>(simt_warp(mask, operation, simt_pack(value), (int)offset, width));      \
    }
SIMT_SHUFFLE(__shfl_sync, SIMT_WARP_INDEX, int)
SIMT_SHUFFLE(__shfl_up_sync, SIMT_WARP_UP, unsigned)
SIMT_SHUFFLE(__shfl_down_sync, SIMT_WARP_DOWN, unsigned)
SIMT_SHUFFLE(__shfl_xor_sync, SIMT_WARP_XOR, int)

// What a group of lanes shuffles may be of any type that is copied by its bytes.
template <class T> SIMT_INLINE T simt_shuffle(unsigned mask, int operation, T value, int argument, int width) {
    static_assert(__is_trivially_copyable(T) && sizeof(T) <= 32, "CUDA shuffles no values of this type");
    uint64_t words[(sizeof(T) + 7) / 8] = {};
    __builtin_memcpy(words, &value, sizeof(T));
    for (uint64_t& word : words) word = simt_warp(mask, operation, word, argument, width);
    __builtin_memcpy(&value, words, sizeof(T));
    return value;
}

SIMT_INLINE unsigned __ballot_sync(unsigned mask, int predicate) {
    return (unsigned)simt_warp(mask, SIMT_WARP_BALLOT, predicate != 0, 0, 32);
}
SIMT_INLINE int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
SIMT_INLINE int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
template <class T> SIMT_INLINE unsigned __match_any_sync(unsigned mask, T value) {
    static_assert(std::is_arithmetic<T>::value, "CUDA matches no values of this type");
    return (unsigned)simt_warp(mask, SIMT_WARP_MATCH, simt_pack(value), 0, 32);
}

// Lanes that have returned count neither for nor against.
template <class T> static inline unsigned __match_all_sync(unsigned mask, T value, int* predicate) {
    const unsigned equal = __match_any_sync(mask, value);
    *predicate = equal == __ballot_sync(mask, 1);
    return *predicate ? mask : 0;
}

#define SIMT_WARP_REDUCE(name, T, operation)                                              \
    SIMT_INLINE T name(unsigned mask, T value) {                                          \
        return (T)simt_warp(mask, operation, (unsigned)value, 0, 32);                     \
    }
SIMT_WARP_REDUCE(__reduce_add_sync, unsigned, SIMT_WARP_ADD)
SIMT_WARP_REDUCE(__reduce_add_sync, int, SIMT_WARP_ADD)
SIMT_WARP_REDUCE(__reduce_min_sync, unsigned, SIMT_WARP_MIN)
SIMT_WARP_REDUCE(__reduce_min_sync, int, SIMT_WARP_MIN_SIGNED)
SIMT_WARP_REDUCE(__reduce_max_sync, unsigned, SIMT_WARP_MAX)
SIMT_WARP_REDUCE(__reduce_max_sync, int, SIMT_WARP_MAX_SIGNED)
SIMT_WARP_REDUCE(__reduce_and_sync, unsigned, SIMT_WARP_AND)
SIMT_WARP_REDUCE(__reduce_or_sync, unsigned, SIMT_WARP_OR)
SIMT_WARP_REDUCE(__reduce_xor_sync, unsigned, SIMT_WARP_BITXOR)
