// Asynchronous copies to shared memory: <cuda_pipeline_primitives.h>, and what cooperative groups make of them.
#pragma once

extern "C" {
bool simt_copies_async(const void* to, const void* from);
void simt_copy_async(void* to, const void* from, size_t bytes, size_t zeros);
void simt_copy_commit();
void simt_copy_wait(size_t pending);
}

SIMT_INLINE void __pipeline_memcpy_async(void* to, const void* from, size_t bytes, size_t zeros = 0) {
    simt_copy_async(to, from, bytes, zeros);
}
SIMT_INLINE void __pipeline_commit() { simt_copy_commit(); }
SIMT_INLINE void __pipeline_wait_prior(size_t pending) { simt_copy_wait(pending); }

// The part of a thread in a copy by `threads`; what CUDA copies at once or byte by byte is an ordinary access.
template <class T>
static inline void simt_copy_plainly(unsigned rank, unsigned threads, void* to, const void* from, size_t bytes) {
    for (size_t i = rank; i < bytes / sizeof(T); i += threads) ((T*)to)[i] = ((const T*)from)[i];
}
// `alignment` is that of the type of what is copied, which tells CUDA how to go about it.
static inline void simt_copy_together(unsigned rank, unsigned threads, void* to, const void* from, size_t bytes,
                                      size_t alignment) {
    auto target = (char*)to;
    auto source = (const char*)from;
    size_t unit = alignment < 16 ? alignment : 16, head = 0;
    if (unit < 4) {
        unit = 16;
        while (unit > 1 && (bytes < unit || ((uintptr_t)to ^ (uintptr_t)from) & (unit - 1))) unit /= 2;
        head = -(uintptr_t)to & (unit - 1);
        if (head > bytes) head = bytes;
    }
    if (unit < 4 || !simt_copies_async(to, from))
        return simt_copy_plainly<char>(rank, threads, to, from, bytes);
    const size_t whole = (bytes - head) / unit * unit, tail = alignment < 4 ? bytes - head - whole : 0;
    simt_copy_plainly<char>(rank, threads, target, source, head);
    for (size_t i = rank * unit; i < whole; i += threads * unit)
        simt_copy_async(target + head + i, source + head + i, unit, 0);
    simt_copy_plainly<char>(rank, threads, target + head + whole, source + head + whole, tail);
}
