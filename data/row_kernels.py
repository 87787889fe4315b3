"""Kernels for graphs that fold rows: reductions, softmax, norms and cumulative sums.

A row is folded in as many passes as its operator has folds; the elementwise steps before it are
recomputed in every pass, which costs arithmetic but no scratch memory.
"""

from __future__ import annotations

from data.graph import Graph
from data.kernel_text import after, before, blocks, kernel, loop, thread_index
from data.operators import Family, Fold, Operator

#: The elements of row r, for one thread.
_SERIAL = "for (int i = r * n; i < r * n + n; ++i)"


def per_row(graph: Graph, core: int, *, guarded: bool) -> str:
    """One thread per row, in blocks of 64."""
    body = [*thread_index("r", "m", guarded=guarded), *_serial_row(graph, core)]
    return kernel(graph, blocks("m", 64, guarded=guarded), "64", body)


def row_shuffle(graph: Graph, core: int) -> str:
    """One warp per row; partial folds meet through shuffles."""
    operator = graph.steps[core].operator
    if operator.family is Family.SCAN:
        return kernel(graph, "m", "32", _warp_scan(graph, core))
    body = ["int r = blockIdx.x;"]
    for fold in operator.folds:
        merge = fold.update.format(f"__shfl_xor_sync(0xffffffff, {fold.accumulator}, d)")
        body += _fold(graph, core, fold, _strided(32))
        body.append(f"for (int d = 16; d > 0; d /= 2) {merge}")
    return kernel(graph, "m", "32", [*body, *_finish(graph, core, _strided(32))])


def row_shared(graph: Graph, core: int) -> str:
    """One block of 128 threads per row; partial folds meet in shared memory."""
    operator = graph.steps[core].operator
    if operator.family is Family.SCAN:
        raise ValueError("a cumulative sum is not a fold: it has no shared-memory template")
    body = ["__shared__ float p[128];", "int r = blockIdx.x;"]
    for fold in operator.folds:
        body += [*_fold(graph, core, fold, _strided(128)), *_shared_merge(operator, fold)]
    return kernel(graph, "m", "128", [*body, *_finish(graph, core, _strided(128))])


def _strided(threads: int) -> str:
    return f"for (int i = r * n + threadIdx.x; i < r * n + n; i += {threads})"


def _fold(graph: Graph, core: int, fold: Fold, head: str) -> list[str]:
    """Declares the accumulator and folds the row's elements into it."""
    lines, value = before(graph, core)
    update = fold.update.format(fold.term.format(value))
    return [f"float {fold.accumulator} = {fold.start};", *loop(head, [*lines, update])]


def _serial_row(graph: Graph, core: int) -> list[str]:
    """A row by one thread: every fold, then the result."""
    operator = graph.steps[core].operator
    if operator.family is Family.SCAN:
        return _serial_scan(graph, core)
    lines = [line for fold in operator.folds for line in _fold(graph, core, fold, _SERIAL)]
    return [*lines, *_finish(graph, core, None)]


def _finish(graph: Graph, core: int, strided: str | None) -> list[str]:
    """Stores the row's one result (reduction) or its elements; `strided` is None for a lone thread."""
    operator = graph.steps[core].operator
    if operator.family is Family.REDUCTION:
        store = f"out[r] = {operator.cuda};"
        return [store if strided is None else f"if (threadIdx.x == 0) {store}"]
    lines, value = before(graph, core)
    result = f"float {'abc'[core]} = {operator.cuda.format(value)};"
    rest, value = after(graph, core, "abc"[core])
    return loop(strided or _SERIAL, [*lines, result, *rest, f"out[i] = {value};"])


def _shared_merge(operator: Operator, fold: Fold) -> list[str]:
    """Tree reduction over 128 partial folds; with a result per element, every thread gets the total."""
    name = fold.accumulator
    share = f"p[threadIdx.x] = {name};"
    step = [fold.update.format("p[threadIdx.x + d]"), share]
    merge = [
        share,
        *loop(
            "for (int d = 64; d > 0; d /= 2)",
            ["__syncthreads();", *loop("if (threadIdx.x < d)", step)],
        ),
    ]
    if operator.family is Family.REDUCTION:
        return merge
    return [*merge, "__syncthreads();", f"{name} = p[0];", "__syncthreads();"]


def _serial_scan(graph: Graph, core: int) -> list[str]:
    lines, value = before(graph, core)
    rest, result = after(graph, core, "s")
    return [
        "float s = 0.f;",
        *loop(_SERIAL, [*lines, f"s += {value};", *rest, f"out[i] = {result};"]),
    ]


def _warp_scan(graph: Graph, core: int) -> list[str]:
    """32 elements at a time: a warp-wide inclusive scan, and the total carried over in `s`."""
    lines, value = before(graph, core)
    rest, result = after(graph, core, "v")
    step = [
        "int j = l + threadIdx.x, i = r * n + j;",
        "float t = 0.f;",
        *loop("if (j < n)", [*lines, f"t = {value};"]),
        *loop(
            "for (int d = 1; d < 32; d *= 2)",
            ["float q = __shfl_up_sync(0xffffffff, t, d);", "if (threadIdx.x >= d) t += q;"],
        ),
        "float v = s + t;",
        *loop("if (j < n)", [*rest, f"out[i] = {result};"]),
        "s += __shfl_sync(0xffffffff, t, 31);",
    ]
    return ["int r = blockIdx.x;", "float s = 0.f;", *loop("for (int l = 0; l < n; l += 32)", step)]
