"""Kernels for graphs whose output elements each need one element of every input."""

from __future__ import annotations

from data.graph import Graph, Layout
from data.kernel_text import THREAD, apply, blocks, kernel, loop, outputs, thread_index, whole


def per_output(graph: Graph, *, guarded: bool) -> str:
    """One thread per element, in blocks of 256."""
    count = outputs(graph)
    lines, value = whole(graph)
    body = [*thread_index("i", count, guarded=guarded), *lines, f"out[i] = {value};"]
    return kernel(graph, blocks(count, 256, guarded=guarded), "256", body)


def grid_stride(graph: Graph) -> str:
    """32 blocks of 128 threads that step over the elements."""
    lines, value = whole(graph)
    head = f"for (int i = {THREAD}; i < {outputs(graph)}; i += gridDim.x * blockDim.x)"
    return kernel(graph, "32", "128", loop(head, [*lines, f"out[i] = {value};"]))


def vectorized(graph: Graph) -> str:
    """Four elements a thread through float4; the last few one by one."""
    if graph.layout is Layout.BROADCAST:
        raise ValueError("a broadcast row is not aligned to float4 at odd row lengths")
    names = ["u", "w"][: len(graph.inputs)]
    lines, value = apply(graph, 0, len(graph.steps), "u")
    parameters = ", ".join(f"float {name}" for name in names)
    helper = loop(f"__device__ float g({parameters})", [*lines, f"return {value};"])
    fours = ", ".join(f"g({', '.join(f'{name}.{part}' for name in names)})" for part in "xyzw")
    ones = ", ".join(f"{name}[i]" for name in graph.inputs)
    body = [
        f"int i = 4 * ({THREAD});",
        *loop(
            f"if (i + 3 < {outputs(graph)})",
            [
                *(
                    f"float4 {name} = *(const float4*)({source} + i);"
                    for name, source in zip(names, graph.inputs, strict=True)
                ),
                f"*(float4*)(out + i) = make_float4({fours});",
                "return;",
            ],
        ),
        f"for (; i < {outputs(graph)}; ++i) out[i] = g({ones});",
    ]
    return kernel(graph, blocks(outputs(graph), 1024, guarded=True), "256", body, helper)


def transpose(graph: Graph, *, guarded: bool) -> str:
    """One thread per element: reads in order, writes to the transposed place."""
    lines, value = whole(graph)
    body = [*thread_index("i", "m * n", guarded=guarded), *lines, f"out[i % n * m + i / n] = {value};"]
    return kernel(graph, blocks("m * n", 256, guarded=guarded), "256", body)


def transpose_shared(graph: Graph) -> str:
    """16 x 16 tiles through shared memory, so that reads and writes are both in order."""
    lines, value = whole(graph, "i * n + j")
    body = [
        "__shared__ float p[16][17];",
        "int i = blockIdx.y * 16 + threadIdx.y;",
        "int j = blockIdx.x * 16 + threadIdx.x;",
        *loop("if (i < m && j < n)", [*lines, f"p[threadIdx.y][threadIdx.x] = {value};"]),
        "__syncthreads();",
        "i = blockIdx.y * 16 + threadIdx.x;",
        "j = blockIdx.x * 16 + threadIdx.y;",
        "if (i < m && j < n) out[j * m + i] = p[threadIdx.x][threadIdx.y];",
    ]
    return kernel(graph, "dim3(ceil_div(n,16),ceil_div(m,16))", "dim3(16,16)", body)
