"""Puts a problem to the model, as text: one prompt style for tiny models, one for real ones.

Both work for every `Problem`, generated or external, and show the shipped sizes only.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence

from data.settings import PromptStyle
from evaluation.problem import Dialect, Instance, Problem, Tensor

_FULL = """\
Write a CUDA kernel that computes what this PyTorch program computes.

```python
{program}
```

Tensors, all contiguous; a kernel receives each as a pointer to its elements:
{tensors}
Named sizes, to pass as integer arguments (their values here are examples): {sizes}

Answer with device code only, in one fenced block that is a valid .cu file:

```cuda
// launch name<<<grid, block, shared_bytes>>>(arguments)
extern "C" __global__ void name(const float* x, float* out, int n) {{ ... }}
```

Rules:
- Every kernel is started by a comment line `// launch name<<<grid, block>>>(arguments)`, at the top of the
  file, in the order in which they run. There is no host code: no main, no stream, no library call.
- Grid, block, shared bytes and integer arguments are expressions of + - * / %, parentheses, min, max,
  ceil_div(a, b), numel(tensor), size(tensor, axis) and the named sizes; dim3(a, b, c) for grid and block.
- A line `// scratch name float32[expression]` above the launches gives an uninitialised buffer to pass as an
  argument.
- Every launched kernel is declared `extern "C" __global__ void`. Inputs and parameters (running statistics,
  too) are read-only; every element of every output must be written. A block has at most 227 KB of shared
  memory, 48 KB of it static.
- The kernel must be correct for any sizes, not only those above: pass sizes as arguments and guard the
  bounds.
- The result is compared with the program's in float64; faster is better.
"""


def render(problem: Problem, style: PromptStyle) -> str:
    """The user message for a problem."""
    return _short(problem) if style is PromptStyle.SHORT else _full(problem)


def chat(prompt: str) -> list[dict[str, str]]:
    """A prompt as the messages of a conversation."""
    return [{"role": "user", "content": prompt}]


def _full(problem: Problem) -> str:
    shipped = problem.shipped
    roles = (("input", shipped.inputs), ("parameter", shipped.parameters), ("output", shipped.outputs))
    lines = [
        f"- {role} `{tensor.name}`: {tensor.dtype}[{', '.join(_extents(tensor, shipped.sizes))}]"
        for role, tensors in roles
        for tensor in tensors
    ]
    sizes = ", ".join(f"{name} = {value}" for name, value in shipped.sizes.items()) or "none"
    return _FULL.format(program=shipped.program.strip(), tensors="\n".join(lines), sizes=sizes)


def _short(problem: Problem) -> str:
    """The function that computes the output, renamed `f`, with the shapes of its tensors."""
    function = _reference_function(problem)
    shipped = problem.shipped
    body = "\n".join(ast.unparse(statement) for statement in _without_docstring(function.body))
    names = ", ".join(tensor.name for tensor in (*shipped.inputs, *shipped.parameters))
    shapes = _shapes((*shipped.inputs, *shipped.parameters), shipped)
    return f"def f({names}): # {shapes}\n{textwrap.indent(body, '  ')}\n"


def _shapes(tensors: Sequence[Tensor], instance: Instance) -> str:
    """Shapes by size names, said once if all tensors have the same."""
    shapes = [f"[{','.join(_extents(tensor, instance.sizes))}]" for tensor in tensors]
    return shapes[0] if len(set(shapes)) == 1 else ", ".join(shapes)


def _extents(tensor: Tensor, sizes: Mapping[str, int]) -> list[str]:
    """Each extent by the name of the size that has its value, or as a number if none has."""
    names: dict[int, str] = {}
    for name, value in sizes.items():
        names.setdefault(value, name)
    return [names.get(extent, str(extent)) for extent in tensor.shape]


def _reference_function(problem: Problem) -> ast.FunctionDef:
    """`fused_operator`, or the `forward` method of `Model`."""
    wanted = "forward" if problem.dialect is Dialect.MODEL else "fused_operator"
    tree = ast.parse(problem.shipped.program)
    scope: Sequence[ast.stmt] = tree.body
    if problem.dialect is Dialect.MODEL:
        models = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Model"]
        scope = models[-1].body if models else []
    functions = [node for node in scope if isinstance(node, ast.FunctionDef) and node.name == wanted]
    if not functions:
        raise ValueError(f"problem {problem.id} has no function {wanted}")
    return functions[-1]


def _without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    first = body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if is_docstring and len(body) > 1 else body
