"""Whole kernel files for graphs: one launch, or several, for each stage.

A graph with one node that is not elementwise has one stage, and the short kernel of that node's writer. Any
other is staged: a style that some of its nodes have is used where it fits, and per_output elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from data.graph import Graph
from data.kernels import elementwise
from data.kernels.kernel import Kernel
from data.kernels.stages import Stage, stages
from data.operators import extents
from data.operators.extents import Shape
from data.operators.operator import Writer
from data.settings import KernelStyle


def styles(graph: Graph) -> tuple[KernelStyle, ...]:
    """The styles that a graph can be written in.

    A staged graph is never unguarded: what is aligned for one of its stages is not for another.
    """
    own = [_fitting(stage) for stage in stages(graph)]
    if len(own) == 1:
        return tuple(own[0])
    cores = [set(writers) for stage, writers in zip(stages(graph), own, strict=True) if stage.core] or own
    return tuple(
        style
        for style in KernelStyle
        if style is not KernelStyle.UNGUARDED and any(style in writers for writers in cores)
    )


def write(graph: Graph, style: KernelStyle) -> str:
    """The `.cu` source of a graph in a style; raises ValueError for a style that does not fit."""
    if style not in styles(graph):
        raise ValueError(f"no {style} kernel for {graph.operators} on inputs {_shapes(graph)}")
    cut = stages(graph)
    kernels = []
    for number, stage in enumerate(cut, 1):
        writers = _fitting(stage)
        used = style if style in writers else KernelStyle.PER_OUTPUT
        kernel = Kernel(stage, used, "f" if len(cut) == 1 else f"f{number}")
        writers[used](kernel)
        kernels.append(kernel)
    buffers = [buffer for stage in cut for buffer in stage.stored if buffer.is_scratch]
    lines = [f"// scratch {one.name} {one.dtype}[{_count(one.value.shape)}]" for one in buffers]
    lines += [line for kernel in kernels for line in kernel.launch_lines()]
    lines += dict.fromkeys(header for kernel in kernels for header in kernel.headers())
    lines += [line for kernel in kernels for line in kernel.source()]
    return "\n".join(lines) + "\n"


def _fitting(stage: Stage) -> Mapping[KernelStyle, Writer]:
    if stage.core is not None:
        half = stage.graph.dtype in ("float16", "bfloat16")
        written = stage.core.operator.writers
        return {style: writer for style, writer in written.items() if half or style is not KernelStyle.MMA}
    return {style: elementwise.WRITERS[style] for style in elementwise.styles(stage)}


def _count(shape: Shape) -> str:
    return extents.c_text(extents.product(shape))


def _shapes(graph: Graph) -> str:
    return ", ".join(f"{value.name}[{', '.join(map(extents.c_text, value.shape))}]" for value in graph.inputs)
