// Matrix products of a warp: <mma.h>. Which lane holds which element of a fragment CUDA leaves open, so every run draws
// its own order (the runner's matrix.cpp).
#pragma once

enum SimtNumber {  // the runner's matrix.cpp has the same list
    SIMT_HALF, SIMT_BFLOAT16, SIMT_TF32, SIMT_FLOAT, SIMT_DOUBLE, SIMT_INT8, SIMT_UINT8, SIMT_INT
};
extern "C" {
// Lets the lanes of a warp come together that load or store a matrix whose elements have so many bytes.
void simt_matrix_begin(const void* memory, unsigned stride, unsigned bytes, unsigned kind);
// The element of a matrix of so many that the calling lane keeps at `index` of its `held`.
unsigned simt_matrix_element(unsigned kind, unsigned elements, unsigned held, unsigned index);
// d = a b + c of the calling warp; `shape` and the types and kinds of the matrices have a byte each.
void simt_matrix_multiply(const void* a, const void* b, const void* c, void* d, unsigned shape, unsigned types,
                          unsigned kinds, bool saturate);
}

namespace nvcuda {
namespace wmma {

struct row_major;
struct col_major;
struct matrix_a;
struct matrix_b;
struct accumulator;
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32;
}

// Rounds to the nearest number with 10 bits of fraction, halves away from zero.
SIMT_INLINE float __float_to_tf32(float x) {
    return isfinite(x) ? simt_bits<float>((simt_bits<unsigned>(x) + 0x1000u) & ~0x1fffu) : x;
}

template <class T> struct SimtNumberOf;
#define SIMT_NUMBER(T, Storage, name)                       \
    template <> struct SimtNumberOf<T> {                    \
        using Type = Storage;                               \
        static constexpr unsigned code = name;              \
    };
SIMT_NUMBER(__half, __half, SIMT_HALF)
SIMT_NUMBER(__nv_bfloat16, __nv_bfloat16, SIMT_BFLOAT16)
SIMT_NUMBER(precision::tf32, float, SIMT_TF32)
SIMT_NUMBER(float, float, SIMT_FLOAT)
SIMT_NUMBER(double, double, SIMT_DOUBLE)
SIMT_NUMBER(signed char, signed char, SIMT_INT8)
SIMT_NUMBER(unsigned char, unsigned char, SIMT_UINT8)
SIMT_NUMBER(int, int, SIMT_INT)
#undef SIMT_NUMBER

template <class Use, int M, int N, int K> struct SimtExtent;
template <int M, int N, int K> struct SimtExtent<matrix_a, M, N, K> { enum { rows = M, columns = K, kind = 0 }; };
template <int M, int N, int K> struct SimtExtent<matrix_b, M, N, K> { enum { rows = K, columns = N, kind = 2 }; };
template <int M, int N, int K> struct SimtExtent<accumulator, M, N, K> { enum { rows = M, columns = N, kind = 4 }; };

template <class T, int M, int N, int K> constexpr bool simt_has_shape() {
    constexpr bool wide = K == 16 && ((M == 16 && N == 16) || (M == 32 && N == 8) || (M == 8 && N == 32));
    constexpr bool tf32 = M == 16 && N == 16 && K == 8, fp64 = M == 8 && N == 8 && K == 4;
    switch (SimtNumberOf<T>::code) {
        case SIMT_TF32: return tf32;
        case SIMT_FLOAT: return wide || tf32;
        case SIMT_DOUBLE: return fp64;
        default: return wide;
    }
}

// How many numbers a lane holds. As in CUDA, each of a factor in half precision is held twice or four times.
template <class Use, int M, int N, int K, class T> constexpr int simt_held() {
    using Extent = SimtExtent<Use, M, N, K>;
    return SimtNumberOf<T>::code == SIMT_HALF && Extent::kind < 4 ? 16 : Extent::rows * Extent::columns / 32;
}

template <class Use, int M, int N, int K, class T, class Layout = void> class alignas(8) fragment {
    using Extent = SimtExtent<Use, M, N, K>;
    static_assert(simt_has_shape<T, M, N, K>(), "CUDA has no fragment of this shape and type");

public:
    enum {
        simt_rows = Extent::rows,
        simt_columns = Extent::columns,
        simt_kind = Extent::kind + std::is_same<Layout, col_major>::value,
        num_elements = simt_held<Use, M, N, K, T>(),
        num_storage_elements = num_elements
    };
    using element_type = T;
    using storage_element_type = typename SimtNumberOf<T>::Type;
    storage_element_type x[num_elements];
};

template <class Use, int M, int N, int K, class T, class Layout>
static inline void fill_fragment(fragment<Use, M, N, K, T, Layout>& f,
                                 const typename SimtPointee<typename SimtNumberOf<T>::Type>::type& value) {
    for (int i = 0; i < f.num_elements; i++) f.x[i] = value;
}

// Where in memory the calling lane's number `i` of a fragment lies.
template <class Fragment> SIMT_INLINE size_t simt_place(unsigned i, unsigned stride, bool by_row) {
    const unsigned element = simt_matrix_element(Fragment::simt_kind, Fragment::simt_rows * Fragment::simt_columns,
                                                 Fragment::num_elements, i);
    const unsigned row = element / Fragment::simt_columns, column = element % Fragment::simt_columns;
    return by_row ? (size_t)row * stride + column : (size_t)column * stride + row;
}

template <class Fragment, class T>
static inline void simt_load(Fragment& f, const T* memory, unsigned stride, bool by_row) {
    simt_matrix_begin(memory, stride, sizeof(T), Fragment::simt_kind | by_row << 3);
    for (int i = 0; i < Fragment::num_elements; i++) f.x[i] = memory[simt_place<Fragment>(i, stride, by_row)];
}

template <class Use, int M, int N, int K, class T, class Layout>
static inline void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f,
                                    const typename SimtNumberOf<T>::Type* memory, unsigned stride) {
    static_assert(!std::is_same<Layout, void>::value, "an accumulator is loaded with its layout in memory");
    simt_load(f, memory, stride, std::is_same<Layout, row_major>::value);
}
template <int M, int N, int K, class T>
static inline void load_matrix_sync(fragment<accumulator, M, N, K, T>& f,
                                    const typename SimtNumberOf<T>::Type* memory, unsigned stride, layout_t layout) {
    simt_load(f, memory, stride, layout == mem_row_major);
}
template <int M, int N, int K, class T>
static inline void store_matrix_sync(typename SimtNumberOf<T>::Type* memory,
                                     const fragment<accumulator, M, N, K, T>& f, unsigned stride, layout_t layout) {
    using Fragment = fragment<accumulator, M, N, K, T>;
    simt_matrix_begin(memory, stride, sizeof(T), Fragment::simt_kind | 16 | (layout == mem_row_major) << 3);
    for (int i = 0; i < Fragment::num_elements; i++)
        memory[simt_place<Fragment>(i, stride, layout == mem_row_major)] = f.x[i];
}

// A lane's own numbers, copied by code that is checked; there are as many even if a source has made another fragment.
template <class Use, int M, int N, int K, class T> struct SimtHeld {
    static constexpr int count = simt_held<Use, M, N, K, T>();
    typename SimtNumberOf<T>::Type numbers[count];
    template <class Fragment> explicit SimtHeld(const Fragment& f) {
        for (int i = 0; i < count; i++) numbers[i] = f.x[i];
    }
};

template <int M, int N, int K, class D, class A, class AL, class BL, class C>
static inline void mma_sync(fragment<accumulator, M, N, K, D>& d, const fragment<matrix_a, M, N, K, A, AL>& a,
                            const fragment<matrix_b, M, N, K, A, BL>& b, const fragment<accumulator, M, N, K, C>& c,
                            bool saturate = false) {
    const SimtHeld<matrix_a, M, N, K, A> left(a);
    const SimtHeld<matrix_b, M, N, K, A> right(b);
    const SimtHeld<accumulator, M, N, K, C> added(c);
    typename SimtNumberOf<D>::Type sums[simt_held<accumulator, M, N, K, D>()];
    simt_matrix_multiply(left.numbers, right.numbers, added.numbers, sums, M | N << 8 | K << 16,
                         SimtNumberOf<A>::code | SimtNumberOf<C>::code << 8 | SimtNumberOf<D>::code << 16,
                         a.simt_kind | b.simt_kind << 8, saturate);
    for (int i = 0; i < simt_held<accumulator, M, N, K, D>(); i++) d.x[i] = sums[i];
}

}  // namespace wmma
}  // namespace nvcuda
