"""Kernels for stages whose output elements each need one element, or a few, of every input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from data.kernels.kernel import THREAD, Kernel, element
from data.kernels.stages import Stage
from data.operators.operator import Writer
from data.settings import KernelStyle

Source: TypeAlias = Callable[[Kernel], str]
"""Writes what is to be stored at the flat index `i`, and returns it."""


def by_element(source: Source) -> dict[KernelStyle, Writer]:
    """Writers of a core for each element by itself: a thread per element, or a fixed grid that steps on."""

    def one(k: Kernel) -> None:
        k.threads("i", k.count())
        k.store("i", source(k))

    def many(k: Kernel) -> None:
        k.launch("32", "128")
        with k.block(f"for (int i = {THREAD}; i < {k.count()}; i += gridDim.x * blockDim.x)"):
            k.store("i", source(k))

    return {KernelStyle.UNGUARDED: one, KernelStyle.PER_OUTPUT: one, KernelStyle.GRID_STRIDE: many}


def per_output(k: Kernel) -> None:
    """One thread per element, in blocks of 256."""
    k.threads("i", k.count())
    k.put("i", k.compute(k.stage.finals[0], "i"))


def grid_stride(k: Kernel) -> None:
    """32 blocks of 128 threads that step over the elements."""
    k.launch("32", "128")
    with k.block(f"for (int i = {THREAD}; i < {k.count()}; i += gridDim.x * blockDim.x)"):
        k.put("i", k.compute(k.stage.finals[0], "i"))


def vectorized(k: Kernel) -> None:
    """Four elements a thread through float4; the last few one by one."""
    final, count = k.stage.finals[0], k.count()
    buffers = k.stage.needed(final)
    names = {buffer.value.name: element(buffer) for buffer in buffers}
    parameters = ", ".join(f"float {name}" for name in names.values())
    g = k.named("g")
    with k.helper(f"__device__ float {g}({parameters})"):
        k.line(f"return {k.compute(final, 'i', names)};")
    k.launch(f"ceil_div({count.replace(' ', '')},1024)", "256")
    k.line(f"int i = 4 * ({THREAD});")
    with k.block(f"if (i + 3 < {count})"):
        k.line(*(f"float4 {element(buffer)} = *(const float4*)({buffer.name} + i);" for buffer in buffers))
        fours = ", ".join(f"{g}({', '.join(f'{name}.{part}' for name in names.values())})" for part in "xyzw")
        k.line(f"*(float4*)({k.stage.stored[0].name} + i) = make_float4({fours});", "return;")
    ones = ", ".join(f"{buffer.name}[i]" for buffer in buffers)
    k.line(f"for (; i < {count}; ++i) {k.stage.stored[0].name}[i] = {g}({ones});")


def styles(stage: Stage) -> tuple[KernelStyle, ...]:
    """The styles that fit: float4 is for float32 tensors of one shape, for others it is not aligned."""
    buffers = (*stage.needed(stage.finals[0]), *stage.stored)
    alike = {(buffer.dtype, buffer.value.shape) for buffer in buffers}
    wide = len(alike) == 1 and buffers[0].dtype == "float32"
    return tuple(style for style in WRITERS if wide or style is not KernelStyle.VECTORIZED)


WRITERS: dict[KernelStyle, Writer] = {
    KernelStyle.UNGUARDED: per_output,
    KernelStyle.PER_OUTPUT: per_output,
    KernelStyle.GRID_STRIDE: grid_stride,
    KernelStyle.VECTORIZED: vectorized,
}
