// What of <algorithm> and <utility> is constexpr, and so may be called in device code: for the shim and for NVRTC.
#ifndef WARPSMITH_ALGORITHM
#define WARPSMITH_ALGORITHM
namespace std {

template <class T> __host__ __device__ constexpr const T& max(const T& a, const T& b) { return a < b ? b : a; }
template <class T> __host__ __device__ constexpr const T& min(const T& a, const T& b) { return b < a ? b : a; }
template <class T> __host__ __device__ constexpr const T& clamp(const T& x, const T& low, const T& high) {
    return x < low ? low : high < x ? high : x;
}

}  // namespace std
#endif
