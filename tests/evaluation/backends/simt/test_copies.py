"""Asynchronous copies and groups of lanes: kernels that use them rightly get what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.backends.simt.backend import SimtBackend
from tests.benchmarks.simt_mix import Launch, make_run
from tests.evaluation.simt_runs import SETTINGS, elementwise, outputs_of

N = 1000
PIPELINE = """#include <cuda_pipeline.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ __align__(16) float s[2][128];
    int t = threadIdx.x, tiles = (n + 127) / 128;
    auto fetch = [&](int tile) {
        int i = tile * 128 + t * 4, left = n - i;
        if (t < 32 && tile < tiles) {
            int there = left < 0 ? 0 : left < 4 ? left : 4;
            __pipeline_memcpy_async(&s[tile % 2][t * 4], a + (there ? i : 0), 16, 16 - 4 * there);
        }
        __pipeline_commit();
    };
    fetch(0);
    for (int tile = 0; tile < tiles; tile++) {
        fetch(tile + 1);
        __pipeline_wait_prior(1);
        __syncthreads();
        if (tile * 128 + t < n) o[tile * 128 + t] = s[tile % 2][t] + s[tile % 2][127 - t];
        __syncthreads();
    }
}
"""
GROUP_COPY = """#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(float* o, const float* a, int n) {{
    __shared__ float s[128];
    auto block = cg::this_thread_block();
    int first = blockIdx.x * 128, count = n - first < 128 ? n - first : 128;
    {copy}
    if (threadIdx.x < count) o[first + threadIdx.x] = s[count - 1 - threadIdx.x];
}}
"""
COPIES = [
    "cg::memcpy_async(block, s, a + first, sizeof(float) * count); cg::wait(block);",
    "cg::memcpy_async(block, s, 128, a + first, count); cg::wait(block);",
    "cg::memcpy_async(block, (void*)s, (const void*)(a + first), 4 * count); cg::wait_prior<0>(block);",
    "cg::memcpy_async(block, (char*)s, (const char*)(a + first), sizeof(float) * count); cg::wait(block);",
    "auto warp = cg::tiled_partition<32>(block); if (warp.meta_group_rank() == 0) {"
    " cg::memcpy_async(warp, s, a + first, sizeof(float) * count); cg::wait(warp); } block.sync();",
    "auto own = cg::this_thread(); if (threadIdx.x < count) {"
    " cg::memcpy_async(own, s + threadIdx.x, a + first + threadIdx.x, 4); cg::wait(own); } block.sync();",
]
GROUPS = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;
struct Pair { float value; int at; };
"""


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


def _run(backend: SimtBackend, source: str, grid: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.random.default_rng(0).standard_normal(N, dtype=np.float32)
    launch: Launch = ("k", (grid, 1, 1), (128, 1, 1), 0, ["o", "a", N])
    return a, outputs_of(backend, source, make_run([launch], {"a": a}, {"o": ((N,), "float32")}))["o"]


def test_a_pipeline_of_two_stages_fills_its_last_tile_with_zeros(backend):
    a, o = _run(backend, PIPELINE, 1)
    tiles = np.zeros(1024, np.float32)
    tiles[:N] = a
    mirrored = tiles.reshape(8, 128)
    assert np.array_equal(o, (mirrored + mirrored[:, ::-1]).reshape(-1)[:N])


@pytest.mark.parametrize("copy", COPIES)
def test_copies_of_a_group(backend, copy):
    a, o = _run(backend, GROUP_COPY.format(copy=copy), 8)
    assert np.array_equal(o, np.concatenate([a[i : i + 128][::-1] for i in range(0, N, 128)]))


def test_coalesced_threads_are_those_in_the_branch(backend):
    body = """
        float sum = 0;
        if (threadIdx.x % 3 == 1 && i < n) {
            auto g = cg::coalesced_threads();
            sum = cg::reduce(g, 1.0f, cg::plus<float>()) - g.size() + g.shfl((float)g.thread_rank(), 0);
            sum += __popc(g.ballot(1)) - (int)g.num_threads() + g.any(0) + !g.all(1);
            sum += g.shfl_up((int)g.thread_rank(), 1) - (g.thread_rank() ? (int)g.thread_rank() - 1 : 0);
        }
        if (i < n) o[i] = a[i] + sum;"""
    a, o = elementwise(backend, body, head=GROUPS)
    assert np.array_equal(o, a)


@pytest.mark.parametrize("size", [4, 8, 16, 32])
def test_tiles_reduce_values_of_any_type(backend, size):
    body = f"""
        auto tile = cg::tiled_partition<{size}>(cg::this_thread_block());
        Pair own = {{i < n ? a[i] : -1e30f, (int)tile.thread_rank()}};
        Pair best = cg::reduce(tile, own, [](Pair x, Pair y) {{ return y.value > x.value ? y : x; }});
        if (i < n) o[i] = (float)best.at;"""
    a, o = elementwise(backend, body, n=384, head=GROUPS)
    assert np.array_equal(o, np.repeat(a.reshape(-1, size).argmax(1), size).astype(np.float32))


@pytest.mark.parametrize("size", [8, 32])
def test_scans(backend, size):
    body = f"""
        auto tile = cg::tiled_partition<{size}>(cg::this_thread_block());
        int own = i < n ? (int)(a[i] * 8) : 0, before = cg::exclusive_scan(tile, own);
        int most = cg::inclusive_scan(tile, own, cg::greater<int>());
        if (i < n) o[i] = (float)(before * 1000 + most + cg::inclusive_scan(tile, own) - before - own);"""
    a, o = elementwise(backend, body, n=384, head=GROUPS)
    own = np.trunc(a * 8).reshape(-1, size)
    want = (np.cumsum(own, 1) - own) * 1000 + np.maximum.accumulate(own, 1)
    assert np.array_equal(o, want.reshape(-1))


def test_groups_by_label_and_of_any_kind(backend):
    head = (
        GROUPS
        + """
    __device__ int sum(cg::thread_group g, int* s, int value) {
        int lane = g.thread_rank();
        for (int i = g.size() / 2; i > 0; i /= 2) {
            s[lane] = value;
            g.sync();
            if (lane < i) value += s[lane + i];
            g.sync();
        }
        return value;
    }
    """
    )
    body = """
        __shared__ int s[128];
        auto block = cg::this_thread_block();
        auto tile = cg::tiled_partition(block, 4);
        int all = sum(block, s, 1), four = sum(tile, s + threadIdx.x / 4 * 4, 1);
        auto half = cg::tiled_partition<8>(cg::tiled_partition<16>(block));
        cg::thread_block_tile<8> plain = half;
        auto third = cg::labeled_partition(plain, threadIdx.x % 3);
        auto odd = cg::binary_partition(plain, threadIdx.x % 2);
        int good = third.size() == 2 + (int)(third.shfl(threadIdx.x, 0) % 8 < 2);
        good &= odd.size() == 4 && odd.meta_group_rank() == threadIdx.x % 2 && odd.meta_group_size() == 2;
        good &= half.meta_group_size() == 2 && half.meta_group_rank() == threadIdx.x % 16 / 8;
        good &= third.meta_group_size() == 3;
        good &= cg::reduce(third, threadIdx.x % 3, cg::less<unsigned>()) == threadIdx.x % 3;
        good &= (threadIdx.x || all == 128) && (threadIdx.x % 4 || four == 4);
        if (i < n) o[i] = a[i] * good;"""
    a, o = elementwise(backend, body, n=300, head=head)
    assert np.array_equal(o, a)
