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
    thread_block_tile() = default;
    template <class Other> thread_block_tile(const thread_block_tile<Size, Other>&) {}
    static unsigned lane() { return simt_thread_rank() % 32; }
    static unsigned mask() { return Size == 32 ? 0xffffffffu : ((1u << (Size & 31)) - 1u) << (lane() / Size * Size); }
    static void sync() { __syncwarp(mask()); }
    static unsigned thread_rank() { return lane() % Size; }
    static constexpr unsigned size() { return Size; }
    static constexpr unsigned num_threads() { return Size; }
    static unsigned meta_group_rank() { return Parent::thread_rank() / Size; }
    static unsigned meta_group_size() { return (Parent::size() + Size - 1) / Size; }
    template <class T> static T shfl(T value, int source) {
        return simt_shuffle(mask(), SIMT_WARP_INDEX, value, source, Size);
    }
    template <class T> static T shfl_up(T value, unsigned delta) {
        return simt_shuffle(mask(), SIMT_WARP_UP, value, (int)delta, Size);
    }
    template <class T> static T shfl_down(T value, unsigned delta) {
        return simt_shuffle(mask(), SIMT_WARP_DOWN, value, (int)delta, Size);
    }
    template <class T> static T shfl_xor(T value, unsigned lanes) {
        return simt_shuffle(mask(), SIMT_WARP_XOR, value, (int)lanes, Size);
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
template <unsigned Size, class Group> SIMT_INLINE thread_block_tile<Size, Group> tiled_partition(const Group&) {
    return {};
}
SIMT_INLINE thread_block_tile<1> this_thread() { return {}; }

// Some lanes of a warp, ranked in their order.
class coalesced_group {
    unsigned simt_lanes, simt_number, simt_groups;

    unsigned simt_lane(unsigned rank) const {
        unsigned lanes = simt_lanes;
        while (rank--) lanes &= lanes - 1;
        return lanes ? (unsigned)__builtin_ctz(lanes) : 32;
    }
    unsigned simt_ranks(unsigned lanes) const {
        unsigned ranks = 0, rank = 0;
        for (unsigned left = simt_lanes; left; left &= left - 1, rank++)
            ranks |= (lanes >> __builtin_ctz(left) & 1u) << rank;
        return ranks;
    }
    template <class T> T simt_from(T value, unsigned rank) const {
        return simt_shuffle(simt_lanes, SIMT_WARP_INDEX, value, (int)simt_lane(rank), 32);
    }

public:
    explicit SIMT_UNCHECKED coalesced_group(unsigned simt_l, unsigned simt_n = 0, unsigned simt_g = 1)
        : simt_lanes(simt_l), simt_number(simt_n), simt_groups(simt_g) {}
    unsigned mask() const { return simt_lanes; }
    unsigned size() const { return (unsigned)__popc(simt_lanes); }
    unsigned num_threads() const { return size(); }
    unsigned thread_rank() const { return (unsigned)__popc(simt_lanes & ((1u << simt_thread_rank() % 32) - 1)); }
    unsigned meta_group_rank() const { return simt_number; }
    unsigned meta_group_size() const { return simt_groups; }
    void sync() const { __syncwarp(simt_lanes); }
    template <class T> T shfl(T value, int rank) const { return simt_from(value, (unsigned)rank); }
    template <class T> T shfl_up(T value, unsigned delta) const {
        const unsigned rank = thread_rank();
        return simt_from(value, rank < delta ? rank : rank - delta);
    }
    template <class T> T shfl_down(T value, unsigned delta) const {
        const unsigned rank = thread_rank();
        return simt_from(value, rank + delta >= size() ? rank : rank + delta);
    }
    unsigned ballot(int predicate) const { return simt_ranks(__ballot_sync(simt_lanes, predicate)); }
    int any(int predicate) const { return __any_sync(simt_lanes, predicate); }
    int all(int predicate) const { return __all_sync(simt_lanes, predicate); }
    template <class T> unsigned match_any(T value) const { return simt_ranks(__match_any_sync(simt_lanes, value)); }
    template <class T> unsigned match_all(T value, int& predicate) const {
        return simt_ranks(__match_all_sync(simt_lanes, value, &predicate));
    }
};
SIMT_INLINE coalesced_group coalesced_threads(int simt_line = __builtin_LINE()) {
    return coalesced_group(simt_active_mask(simt_line));
}

// The lanes of `group` with the same label, numbered by their first lanes.
template <class Group, class T> static inline coalesced_group labeled_partition(const Group& group, T label) {
    const unsigned own = __match_any_sync(group.mask(), label), first = own & -own;
    const unsigned firsts = __ballot_sync(group.mask(), first == 1u << simt_thread_rank() % 32);
    return coalesced_group(own, (unsigned)__popc(firsts & (first - 1)), (unsigned)__popc(firsts));
}
template <class Group> static inline coalesced_group binary_partition(const Group& group, bool label) {
    const unsigned yes = __ballot_sync(group.mask(), label);
    return coalesced_group(label ? yes : group.mask() & ~yes, label, 2);
}

// A group of any kind: the block, or some lanes of a warp.
class thread_group {
    unsigned simt_lanes;  // 0: the block

    SIMT_UNCHECKED thread_group(unsigned simt_l) : simt_lanes(simt_l) {}

public:
    SIMT_UNCHECKED thread_group(const thread_block&) : simt_lanes(0) {}
    template <unsigned Size, class Parent>
    SIMT_UNCHECKED thread_group(const thread_block_tile<Size, Parent>& tile) : simt_lanes(tile.mask()) {}
    SIMT_UNCHECKED thread_group(const coalesced_group& group) : simt_lanes(group.mask()) {}
    void sync() const { simt_lanes ? __syncwarp(simt_lanes) : thread_block::sync(); }
    unsigned size() const { return simt_lanes ? (unsigned)__popc(simt_lanes) : thread_block::size(); }
    unsigned num_threads() const { return size(); }
    unsigned thread_rank() const {
        return simt_lanes ? coalesced_group(simt_lanes).thread_rank() : thread_block::thread_rank();
    }
    friend thread_group tiled_partition(const thread_group&, unsigned size) {
        const unsigned first = simt_thread_rank() % 32 / size * size;
        return thread_group(size == 32 ? 0xffffffffu : ((1u << size) - 1) << first);
    }
};
thread_group tiled_partition(const thread_group& group, unsigned size);

template <class Group> SIMT_INLINE void sync(const Group& group) { group.sync(); }
template <class Group> SIMT_INLINE unsigned thread_rank(const Group& group) { return group.thread_rank(); }
template <class Group> SIMT_INLINE unsigned group_size(const Group& group) { return group.size(); }

template <class Group, class T>
static inline void memcpy_async(const Group& group, T* to, const T* from, size_t bytes) {
    simt_copy_together(group.thread_rank(), group.size(), to, from, bytes, alignof(T));
    simt_copy_commit();
}
template <class Group>
static inline void memcpy_async(const Group& group, void* to, const void* from, size_t bytes) {
    simt_copy_together(group.thread_rank(), group.size(), to, from, bytes, 1);
    simt_copy_commit();
}
template <class Group, class T>
static inline void memcpy_async(const Group& group, T* to, size_t room, const T* from, size_t count) {
    memcpy_async(group, to, from, (room < count ? room : count) * sizeof(T));
}
template <unsigned Pending, class Group> SIMT_INLINE void wait_prior(const Group& group) {
    simt_copy_wait(Pending);
    group.sync();
}
template <class Group> SIMT_INLINE void wait(const Group& group) { wait_prior<0>(group); }

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
template <class T, class Operation> SIMT_INLINE T reduce(const coalesced_group& group, T value, Operation combine) {
    T total = group.shfl(value, 0);
    for (unsigned rank = 1; rank < group.size(); rank++) total = combine(total, group.shfl(value, (int)rank));
    return total;
}

template <class Group, class T, class Operation = plus<T>>
SIMT_INLINE T inclusive_scan(const Group& group, T value, Operation combine = {}) {
    for (unsigned reach = 1; reach < group.size(); reach *= 2) {
        const T below = group.shfl_up(value, reach);
        if (group.thread_rank() >= reach) value = combine(below, value);
    }
    return value;
}
template <class Group, class T, class Operation = plus<T>>
SIMT_INLINE T exclusive_scan(const Group& group, T value, Operation combine = {}) {
    const T below = group.shfl_up(inclusive_scan(group, value, combine), 1);
    return group.thread_rank() ? below : T();
}

}  // namespace cooperative_groups
