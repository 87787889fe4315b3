// Where a thread is, block barriers, and the small services of the runner.
#pragma once

extern "C" {
uint3 simt_thread_index() __attribute__((const));
uint3 simt_block_index() __attribute__((const));
uint3 simt_block_extent() __attribute__((const));
uint3 simt_grid_extent() __attribute__((const));
unsigned simt_thread_rank() __attribute__((const));
void simt_barrier(int line);
int simt_barrier_count(int line, int predicate);
int simt_barrier_and(int line, int predicate);
int simt_barrier_or(int line, int predicate);
void simt_yield();
void simt_fence(int in_block_only);
void simt_trap(const char* what) __attribute__((noreturn));
extern char simt_dynamic_shared[];
void* memcpy(void*, const void*, size_t);
void* memset(void*, int, size_t);
}

#ifdef __OPTIMIZE__
extern "C" const char simt_optimized = 1;
#endif

#define threadIdx (simt_thread_index())
#define blockIdx (simt_block_index())
#define blockDim (simt_block_extent())
#define gridDim (simt_grid_extent())
#define warpSize 32

#define __syncthreads() simt_barrier(__LINE__)
#define __syncthreads_count(p) simt_barrier_count(__LINE__, (p) != 0)
#define __syncthreads_and(p) simt_barrier_and(__LINE__, (p) != 0)
#define __syncthreads_or(p) simt_barrier_or(__LINE__, (p) != 0)

SIMT_INLINE void __threadfence() { simt_fence(0); }
SIMT_INLINE void __threadfence_block() { simt_fence(1); }
SIMT_INLINE void __threadfence_system() { simt_fence(0); }
SIMT_INLINE void __nanosleep(unsigned) { simt_yield(); }
SIMT_INLINE void __trap() { simt_trap("__trap() was called"); }
SIMT_INLINE void __brkpt() { simt_trap("__brkpt() was called"); }
// Nothing is printed, for that would be a channel of ours; the answer is a GPU's, which counts the arguments.
template <class... T> SIMT_INLINE int printf(const char* format, T...) { return format ? (int)sizeof...(T) : -1; }
#define assert(condition) ((condition) ? (void)0 : simt_trap("assert(" #condition ") failed"))
