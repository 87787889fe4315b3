"""What a writer writes with: the body of a kernel, line by line, for one stage of a graph.

A writer speaks the language of its operator's signature. Dimensions and named extents are `int` parameters
of the kernel, whatever they are in the graph; operands are loaded and results stored by flat index, and dtype
conversions and fused neighbours are taken care of there. Names that a writer must leave to them: `u`, `w`,
names with a `_` at the end, and names of the graph's results (`a`, `b`, `c`, `v4`, ...).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from data.graph import Node
from data.kernels.stages import Buffer, Stage
from data.operators import extents
from data.operators.extents import Shape, atom, c_text
from data.operators.operator import Attribute, Operator
from data.settings import KernelStyle
from evaluation.answer.kernel_names import CPP_TYPES
from evaluation.expressions import Expression, Number, Size

#: Index of the thread in a one-dimensional grid.
THREAD = "blockIdx.x * blockDim.x + threadIdx.x"
#: Local variable that holds an input's element; others have the input's name and a `_`.
_ELEMENTS = {"x": "u", "y": "w"}
_FROM = {"float16": "__half2float({})", "bfloat16": "__bfloat162float({})"}
_TO = {"float16": "__float2half({})", "bfloat16": "__float2bfloat16({})"}
_HEADERS = {"float16": "cuda_fp16.h", "bfloat16": "cuda_bf16.h"}
_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
#: Literals that change nothing, which attributes become.
_IDLE = re.compile(
    r"(?<=[\w)\]]) ?(?:[*/] ?1|[+-] ?0(?! ?[*/%]))(?![\w.])|(?<![\w.])(?<![/%] )(?<![/%])1 ?\* ?"
)


def element(buffer: Buffer) -> str:
    """Name of the local variable that holds a buffer's element."""
    return _ELEMENTS.get(buffer.name, f"{buffer.name}_")


@dataclass
class Function:
    """One kernel function: what its launch line and its body say."""

    name: str
    grid: str = "1"
    block: str = "1"
    shared: str = ""
    helper: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)


class Kernel:
    """The kernel of one stage in one style."""

    def __init__(self, stage: Stage, style: KernelStyle, name: str) -> None:
        self.stage, self.style, self._name = stage, style, name
        self.functions = [Function(name)]
        self.scratch: dict[str, tuple[str, str]] = {}
        self.sizes = self._parameters()
        self._depth = 1
        self._scopes: list[set[str]] = [{*self.sizes, *self._buffers}]

    # -- what is to be computed

    @property
    def node(self) -> Node:
        """The node that the kernel is written for."""
        assert self.stage.core is not None, "an elementwise stage has no core"
        return self.stage.core

    @property
    def operator(self) -> Operator:
        """Its operator."""
        return self.node.operator

    def attributes(self, *names: str) -> tuple[Attribute, ...]:
        """Values of attributes, to be written as literals."""
        given = dict(self.node.attributes)
        return tuple(given[name] for name in names)

    @property
    def dtype(self) -> str:
        """The graph's floating-point dtype."""
        return self.stage.graph.dtype

    @property
    def guarded(self) -> bool:
        """Whether threads beyond the bounds return, as they do in all styles but one."""
        return self.style is not KernelStyle.UNGUARDED

    def count(self, result: int = 0) -> str:
        """Number of elements of a result, as an expression of the kernel's sizes."""
        return self.elements(self.stage.stored[result].value.shape)

    # -- launch

    def launch(self, grid: str, block: str, shared: str = "") -> None:
        """Set the launch line's chevrons, in the names of the kernel's sizes; `shared` is in bytes."""
        function = self.functions[-1]
        function.grid, function.block, function.shared = (
            _IDLE.sub("", text) for text in (grid, block, shared)
        )

    def threads(self, index: str, bound: str, block: int = 256) -> None:
        """Launch a thread for each number below a bound, and declare its index; other threads return."""
        count = _IDLE.sub("", bound).replace(" ", "")
        self.launch(f"ceil_div({count},{block})" if self.guarded else f"{count}/{block}", str(block))
        self.line(f"int {index} = {THREAD};")
        if self.guarded:
            self.line(f"if ({index} >= {bound}) return;")

    def temporary(self, name: str, extent: str, dtype: str = "float32") -> None:
        """A scratch buffer of so many elements, for this stage's kernels alone."""
        self.scratch[name] = (dtype, extent)
        self._scopes[0].add(name)

    def another(self) -> None:
        """Begin a further kernel, which runs after the one so far."""
        self.functions.append(Function(f"{self._name}_{len(self.functions) + 1}"))
        self._scopes = [{*self.sizes, *self._buffers, *self.scratch}]

    # -- text

    def line(self, *lines: str) -> None:
        """Statements, a line each."""
        for line in (_IDLE.sub("", line) for line in lines):
            self._scopes[-1].update(_IDENTIFIER.findall(line))
            self.functions[-1].body.append("  " * self._depth + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A braced statement: `head { ... }`."""
        self.line(f"{head} {{")
        self._depth += 1
        self._scopes.append(set())
        yield
        self._scopes.pop()
        self._depth -= 1
        self.line("}")

    @contextmanager
    def helper(self, head: str) -> Iterator[None]:
        """A device function before the kernel: `head { ... }`."""
        function, scopes, depth = self.functions[-1], self._scopes, self._depth
        body, function.body = function.body, []
        self._scopes, self._depth = [set()], 0
        with self.block(head):
            yield
        function.helper += function.body
        function.body, self._scopes, self._depth = body, scopes, depth

    def named(self, name: str) -> str:
        """A name for a helper, with the number of a kernel that is one of several in its file."""
        return name + self._name[1:]

    # -- loads and stores

    def load(self, operand: str, index: str) -> str:
        """Load an operand's element, neighbours applied; returns a local variable, to be used at will."""
        return self.compute(self._value(operand), index)

    def read(self, operand: str, index: str, where: str = "", otherwise: str = "0.f") -> str:
        """As `load`, but an expression, to be used once.

        Where the condition does not hold nothing is loaded, and the value is `otherwise`.
        """
        value = self._value(operand)
        buffer = self.stage.known.get(value)
        if buffer is not None:
            plain = self._element(buffer, index)
            return f"{where} ? {plain} : {otherwise}" if where else plain
        if not where:
            return self.compute(value, index)
        name = self._declare(f"{operand}_")
        self.line(f"float {name} = {otherwise};")
        with self.block(f"if ({where})"):
            self.line(f"{name} = {self.compute(value, index)};")
        return name

    def define(self, expression: str) -> str:
        """A local variable for the core's (first) result."""
        name = self._declare(self.node.results[0].name)
        self.line(f"float {name} = {expression};")
        return name

    def finish(self, value: str, index: str, result: int = 0) -> str:
        """Apply the neighbours behind a result's element; returns what is to be stored."""
        core = self.node.results[result].name
        final = self.stage.finals[result]
        if final == core:
            return value
        if not _IDENTIFIER.fullmatch(value):
            value = self.define(value)
        return self.compute(final, index, {core: value})

    def put(self, index: str, value: str, result: int = 0, when: str = "") -> None:
        """Store what `finish` gave, where a condition holds."""
        buffer = self.stage.stored[result]
        guard = f"if ({when}) " if when else ""
        self.line(f"{guard}{buffer.name}[{index}] = {self.narrow(value, buffer.dtype)};")

    def narrow(self, value: str, dtype: str = "") -> str:
        """A float as a value of a dtype, the graph's if none is given."""
        return _TO.get(dtype or self.dtype, "{}").format(value)

    def store(self, index: str, value: str, result: int = 0, when: str = "") -> None:
        """Store a result's element at its flat index, neighbours applied, where a condition holds."""
        if not when or self.stage.finals[result] == self.node.results[result].name:
            self.put(index, self.finish(value, index, result), result, when)
            return
        with self.block(f"if ({when})"):
            self.store(index, value, result)

    def compute(self, value: str, index: str, given: dict[str, str] | None = None) -> str:
        """Compute a value's element from what is known and what is `given` in local variables."""
        names = dict(given or {})
        shape = self.stage.graph.values[value].shape
        for buffer in self.stage.needed(value, frozenset(names)):
            local = self._declare(element(buffer))
            at = self._broadcast(index, buffer.value.shape, shape)
            kind = "float" if "float" in buffer.dtype else CPP_TYPES[buffer.dtype]
            self.line(f"{kind} {local} = {self._element(buffer, at)};")
            names[buffer.value.name] = local
        for node in self.stage.fused(value, frozenset(given or {})):
            result = node.results[0]
            names[result.name] = self._declare(result.name)
            kind = "float" if "float" in result.dtype else CPP_TYPES[result.dtype]
            self.line(f"{kind} {names[result.name]} = {node.cuda(names)};")
        return names[value]

    # -- names

    def elements(self, shape: Shape) -> str:
        """Number of elements of a shape of the graph, by the kernel's sizes."""
        factors = [self.extent(extent) for extent in shape if extent != Number(1)]
        return " * ".join(map(atom, factors)) if len(factors) > 1 else "".join(factors) or "1"

    def extent(self, expression: Expression) -> str:
        """An extent of the graph by the kernel's sizes; one that they do not give becomes a further size."""
        for name, meaning in self.sizes.items():
            if meaning == expression:
                return name
        own = {meaning.name: Size(name) for name, meaning in self.sizes.items() if isinstance(meaning, Size)}
        if extents.names_in(expression) <= own.keys():
            return c_text(extents.normal(expression, own))
        name = self._declare("extent")
        self.sizes[name] = expression
        self._scopes[0].add(name)
        return name

    @property
    def _buffers(self) -> list[str]:
        known = [buffer.name for buffer in self.stage.known.values()]
        return list(dict.fromkeys((*known, *(buffer.name for buffer in self.stage.stored))))

    def _parameters(self) -> dict[str, Expression]:
        """The kernel's sizes: dimensions and named extents of the signature, or the sizes of the graph."""
        if self.stage.core is not None:
            return dict(self.stage.core.dims)
        shapes = [self.stage.stored[0].value.shape]
        shapes += [buffer.value.shape for buffer in self.stage.needed(self.stage.finals[0])]
        used = {name for shape in shapes for extent in shape for name in extents.names_in(extent)}
        return {name: Size(name) for name, _ in self.stage.graph.sizes if name in used}

    def _value(self, operand: str) -> str:
        return self.node.operands[self.operator.operands.index(operand)]

    def _element(self, buffer: Buffer, index: str) -> str:
        return _FROM.get(buffer.dtype, "{}").format(f"{buffer.name}[{index}]")

    def _declare(self, name: str) -> str:
        """A name that nothing has where it would be seen."""
        taken = set().union(*self._scopes)
        return next(found for found in (name, *(f"{name}{n}" for n in range(2, 1000))) if found not in taken)

    def _broadcast(self, index: str, shape: Shape, whole: Shape) -> str:
        """Flat index into a tensor that is broadcast to a shape, from the flat index into that."""
        if shape == whole:
            return index
        behind = whole[len(whole) - len(shape) :]
        if shape == behind:
            return f"{atom(index)} % {atom(self.elements(shape))}" if shape else "0"
        parts = []
        for axis, extent in enumerate(shape):
            if extent == Number(1):
                continue
            place = atom(index)
            for divisor, sign in ((behind[axis + 1 :], "/"), ((extent,), "%"), (shape[axis + 1 :], "*")):
                factor = self.elements(divisor)
                place = place if factor == "1" else f"{place} {sign} {atom(factor)}"
            parts.append(place)
        return " + ".join(parts) or "0"

    # -- the whole

    def launch_lines(self) -> list[str]:
        """Scratch and launch lines, in the names of the graph."""
        lines = [
            f"// scratch {name} {dtype}[{self._by_graph(extent)}]"
            for name, (dtype, extent) in self.scratch.items()
        ]
        for function in self.functions:
            buffers, sizes = self._used(function)
            arguments = [*(buffer for buffer, _ in buffers), *(c_text(self.sizes[size]) for size in sizes)]
            chevrons = ",".join(
                self._by_graph(part) for part in (function.grid, function.block, function.shared) if part
            )
            lines.append(f"// launch {function.name}<<<{chevrons}>>>({', '.join(arguments)})")
        return lines

    def source(self) -> list[str]:
        """The functions."""
        lines = []
        for function in self.functions:
            buffers, sizes = self._used(function)
            parameters = [*(kind for _, kind in buffers), *(f"int {size}" for size in sizes)]
            lines += [
                *function.helper,
                f'extern "C" __global__ void {function.name}({", ".join(parameters)}) {{',
                *function.body,
                "}",
            ]
        return lines

    def headers(self) -> list[str]:
        """Headers that the dtypes of the buffers need."""
        dtypes = {buffer.dtype for buffer in (*self.stage.known.values(), *self.stage.stored)}
        found = [_HEADERS[dtype] for dtype in sorted(dtypes & _HEADERS.keys())]
        if self.style is KernelStyle.MMA:
            found = list(dict.fromkeys((*found, _HEADERS[self.dtype], "mma.h")))
        return [f"#include <{header}>" for header in found]

    def _used(self, function: Function) -> tuple[list[tuple[str, str]], list[str]]:
        """Buffers with their parameters, and sizes, that a function takes."""
        words = set(_IDENTIFIER.findall("\n".join(function.body)))
        stored = {buffer.name: buffer for buffer in self.stage.stored}
        found = []
        for buffer in self.stage.known.values():
            if buffer.name in words and buffer.name not in stored:
                found.append((buffer.name, f"const {CPP_TYPES[buffer.dtype]}* {buffer.name}"))
        for buffer in stored.values():
            if buffer.name in words:
                found.append((buffer.name, f"{CPP_TYPES[buffer.dtype]}* {buffer.name}"))
        for name, (dtype, _) in self.scratch.items():
            if name in words:
                found.append((name, f"{CPP_TYPES[dtype]}* {name}"))
        alone = len(self.functions) == 1 and self.stage.graph.cores == (
            (self.stage.core,) if self.stage.core else ()
        )
        return found, [size for size in self.sizes if alone or size in words]

    def _by_graph(self, text: str) -> str:
        """A text in the kernel's sizes as one in the graph's."""

        def meaning(match: re.Match[str]) -> str:
            name = match.group()
            if name not in self.sizes or self.sizes[name] == Size(name):
                return name
            return atom(c_text(self.sizes[name]))

        return _IDENTIFIER.sub(meaning, text)
