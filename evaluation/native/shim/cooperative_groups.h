// Cooperative groups within a block. Groups that span the grid are refused before compilation.
#pragma once

namespace cooperative_groups {

struct thread_block {
    // All groups share one barrier site: the line of `sync()` in the kernel is not known here.
    static void sync() { simt_barrier(0); }
    static unsigned size() { return blockDim.x * blockDim.y * blockDim.z; }
    static unsigned num_threads() { return size(); }
    static unsigned thread_rank() { return simt_thread_rank(); }
    static uint3 group_index() { return blockIdx; }
    static uint3 thread_index() { return threadIdx; }
    static uint3 group_dim() { return blockDim; }
    static dim3 dim_threads() { return blockDim; }
};
SIMT_INLINE thread_block this_thread_block() { return {}; }

template <unsigned Size, class Parent = thread_block> struct thread_block_tile {
    static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0, "a tile has a power of two up to 32");
    static unsigned lane() { return simt_thread_rank() % 32; }
    static unsigned mask() { return Size == 32 ? 0xffffffffu : ((1u << (Size & 31)) - 1u) << (lane() / Size * Size); }
    static void sync() { __syncwarp(mask()); }
    static unsigned thread_rank() { return lane() % Size; }
    static constexpr unsigned size() { return Size; }
    static constexpr unsigned num_threads() { return Size; }
    static unsigned meta_group_rank() { return simt_thread_rank() / Size; }
    static unsigned meta_group_size() { return (thread_block::size() + Size - 1) / Size; }
    template <class T> static T shfl(T value, int source) { return __shfl_sync(mask(), value, source, Size); }
    template <class T> static T shfl_up(T value, unsigned delta) { return __shfl_up_sync(mask(), value, delta, Size); }
    template <class T> static T shfl_down(T value, unsigned delta) {
        return __shfl_down_sync(mask(), value, delta, Size);
    }
    template <class T> static T shfl_xor(T value, unsigned lanes) {
        return __shfl_xor_sync(mask(), value, (int)lanes, Size);
    }
    static unsigned own(unsigned lanes) { return lanes >> (lane() / Size * Size); }
    static unsigned ballot(int predicate) { return own(__ballot_sync(mask(), predicate)); }
    template <class T> static unsigned match_any(T value) { return own(__match_any_sync(mask(), value)); }
    template <class T> static unsigned match_all(T value, int& predicate) {
        return own(__match_all_sync(mask(), value, &predicate));
    }
    static int any(int predicate) { return __any_sync(mask(), predicate); }
    static int all(int predicate) { return __all_sync(mask(), predicate); }
};
template <unsigned Size, class Group> SIMT_INLINE thread_block_tile<Size> tiled_partition(const Group&) { return {}; }

template <class Group> SIMT_INLINE void sync(const Group& group) { group.sync(); }
template <class Group> SIMT_INLINE unsigned thread_rank(const Group& group) { return group.thread_rank(); }

template <class T> struct plus { T operator()(T a, T b) const { return a + b; } };
template <class T> struct greater { T operator()(T a, T b) const { return a > b ? a : b; } };
template <class T> struct less { T operator()(T a, T b) const { return a < b ? a : b; } };
template <class T> struct bit_and { T operator()(T a, T b) const { return a & b; } };
template <class T> struct bit_or { T operator()(T a, T b) const { return a | b; } };
template <class T> struct bit_xor { T operator()(T a, T b) const { return a ^ b; } };

template <unsigned Size, class Parent, class T, class Operation>
SIMT_INLINE T reduce(const thread_block_tile<Size, Parent>& tile, T value, Operation combine) {
    for (unsigned lanes = Size / 2; lanes; lanes /= 2) value = combine(value, tile.shfl_xor(value, lanes));
    return value;
}

}  // namespace cooperative_groups
