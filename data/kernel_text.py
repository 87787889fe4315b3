"""The pieces that all kernel templates share: signature, launch line, loads and elementwise chains.

Names follow the program's: step results are `a`, `b`, `c` in both, `u` and `w` are the elements of
`x` and `y`, `i` the flat index, `s` and `t` accumulators. Kernels are kept short on purpose: the cost
of a GRPO step is proportional to the tokens of a kernel.
"""

from __future__ import annotations

from collections.abc import Iterable

from data.graph import Graph, Layout

#: Index of the thread in a one-dimensional grid.
THREAD = "blockIdx.x * blockDim.x + threadIdx.x"
#: Local variable that holds an input's element.
_ELEMENTS = {"x": "u", "y": "w"}


def kernel(graph: Graph, grid: str, block: str, body: Iterable[str], helper: Iterable[str] = ()) -> str:
    """A whole `.cu` source: launch line, optional helper function, and kernel `f` over all names."""
    arguments = [*graph.inputs, "out", *graph.size_names]
    parameters = [
        *(f"const float* {name}" for name in graph.inputs),
        "float* out",
        *(f"int {name}" for name in graph.size_names),
    ]
    lines = [
        f"// launch f<<<{grid},{block}>>>({', '.join(arguments)})",
        *helper,
        f'extern "C" __global__ void f({", ".join(parameters)}) {{',
        *indent(body),
        "}",
    ]
    return "\n".join(lines) + "\n"


def indent(lines: Iterable[str]) -> list[str]:
    """The lines one level deeper."""
    return [f"  {line}" for line in lines]


def loop(head: str, body: Iterable[str]) -> list[str]:
    """A braced statement: `head { body }`."""
    return [f"{head} {{", *indent(body), "}"]


def outputs(graph: Graph) -> str:
    """Number of output elements of an elementwise program, as an expression of the sizes."""
    return "n" if graph.layout is Layout.VECTOR else "m * n"


def blocks(count: str, size: int, *, guarded: bool) -> str:
    """Grid extent for `count` threads in blocks of `size`; the exact grid drops the remainder."""
    count = count.replace(" ", "")
    return f"ceil_div({count},{size})" if guarded else f"{count}/{size}"


def thread_index(name: str, bound: str, *, guarded: bool) -> list[str]:
    """Declares the thread's index, and returns from threads past the bound."""
    guard = [f"if ({name} >= {bound}) return;"] if guarded else []
    return [f"int {name} = {THREAD};", *guard]


def loads(graph: Graph, index: str = "i") -> list[str]:
    """Reads the element of each input into its local variable; a broadcast `y` wraps at the row."""
    lines = [f"float u = x[{index}];"]
    if "y" in graph.inputs and graph.layout is not Layout.MATMUL:
        wrap = " % n" if graph.layout is Layout.BROADCAST else ""
        lines.append(f"float w = y[{index}{wrap}];")
    return lines


def apply(graph: Graph, start: int, stop: int, value: str) -> tuple[list[str], str]:
    """Statements for the steps `start` to `stop`, applied to `value`; and the name of the result."""
    lines = []
    for name, step in list(zip("abc", graph.steps, strict=False))[start:stop]:
        other = None if step.operand is None else _ELEMENTS[step.operand]
        expression = step.operator.cuda.format(*step.operands(value, other))
        if expression == value:  # a transpose moves elements and computes nothing
            continue
        lines.append(f"float {name} = {expression};")
        value = name
    return lines, value


def whole(graph: Graph, index: str = "i") -> tuple[list[str], str]:
    """Loads and all steps of a graph that computes each output element from one index."""
    lines, value = apply(graph, 0, len(graph.steps), "u")
    return [*loads(graph, index), *lines], value


def before(graph: Graph, core: int, index: str = "i") -> tuple[list[str], str]:
    """Loads and the steps before the core step."""
    lines, value = apply(graph, 0, core, "u")
    return [*loads(graph, index), *lines], value


def after(graph: Graph, core: int, value: str) -> tuple[list[str], str]:
    """The steps after the core step, applied to the core's result."""
    return apply(graph, core + 1, len(graph.steps), value)
