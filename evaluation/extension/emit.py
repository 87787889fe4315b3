"""Writes what host code does as a kernel file of our contract: scratch and launch lines, then device code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import inf, isnan

from evaluation.answer.kernel_names import declarations
from evaluation.expressions import Expression, Number
from evaluation.extension.outcome import NotTakenError, Reason, not_understood
from evaluation.extension.symbolic import operation, product, text_of
from evaluation.extension.tokens import closing, tokens_of
from evaluation.extension.values import ALWAYS, FillStep, LaunchStep, Step, Storage
from evaluation.source_text import plain

_FILL = """
template <typename T> __global__ void {name}(T* buffer, long long count) {{
    long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (at < count) buffer[at] = static_cast<T>({value});
}}
"""
_COPY = """
template <typename T> __global__ void {name}(T* buffer, const T* from, long long count) {{
    long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (at < count) buffer[at] = from[at];
}}
"""
_GUARD = "only_if"


def kernel_file(device: str, steps: Sequence[Step], taken: Iterable[str]) -> str:
    """The text; `taken` are the names that scratch buffers may not have, and outputs are named already."""
    launches = [step for step in steps if isinstance(step, LaunchStep)]
    if not launches:
        raise NotTakenError(Reason.NO_KERNEL, "the host code launches no kernel")
    known = {one.name for one in declarations(plain(device))}
    unknown = [step.kernel for step in launches if step.kernel not in known and "#" not in device]
    if unknown:
        raise NotTakenError(Reason.NO_KERNEL, f"the kernel {unknown[0]:.60} is launched and not defined")
    guarded = {step.kernel for step in launches if step.guard != ALWAYS}
    for kernel in sorted(guarded):
        device = _guarded(device, kernel)
    fills: dict[str, str] = {}
    scratch = _named(steps, taken)
    lines = [f"// scratch {one.name} {one.dtype}[{text_of(product(one.shape))}]" for one in scratch]
    for step in steps:
        if isinstance(step, LaunchStep):
            lines.append(_launch_line(step, step.kernel in guarded))
        else:
            lines.append(_fill_line(step, fills, device))
    return "\n".join(lines) + "\n" + device + "".join(fills.values())


def _named(steps: Sequence[Step], taken: Iterable[str]) -> list[Storage]:
    """The scratch buffers that the steps use, each with a name of its own."""
    used: dict[Storage, None] = {}
    for step in steps:
        found = step.arguments if isinstance(step, LaunchStep) else (step.storage, step.value)
        used |= dict.fromkeys(one for one in found if isinstance(one, Storage) and one.allocated)
    names = set(taken)
    scratch = [storage for storage in used if storage.name not in names]
    for at, storage in enumerate(scratch):
        name = f"scratch{at}"
        while name in names:
            name += "_"
        names.add(name)
        storage.name = name
    return scratch


def _launch_line(step: LaunchStep, guarded: bool) -> str:
    grid, block = step.grid, step.block
    arguments = [one.name if isinstance(one, Storage) else text_of(one) for one in step.arguments]
    if guarded:
        grid = tuple(operation("max", extent, Number(1)) for extent in grid)
        block = tuple(operation("max", extent, Number(1)) for extent in block)
        arguments.append(text_of(step.guard))
    template = f"<{', '.join(step.template)}>" if step.template else ""
    shared = "" if step.shared == Number(0) else f", {text_of(step.shared)}"
    return (
        f"// launch {step.kernel}{template}<<<{_extents(grid)}, {_extents(block)}{shared}>>>"
        f"({', '.join(arguments)})"
    )


def _extents(extents: tuple[Expression, ...]) -> str:
    found = [text_of(extent) for extent in extents]
    return found[0] if len(found) == 1 else f"dim3({', '.join(found)})"


def _fill_line(step: FillStep, fills: dict[str, str], device: str) -> str:
    """A launch of a kernel of ours, which is added to the file once."""
    if step.guard != ALWAYS:
        raise not_understood("a buffer that is filled only at some sizes")
    source = step.value if isinstance(step.value, Storage) else None
    form, value = (_COPY, "") if isinstance(step.value, Storage) else (_FILL, _literal(step.value))
    text = form.format(name="NAME", value=value)
    if text not in fills:
        name = f"{'copy' if source else 'fill'}_buffer{len(fills)}"
        while name in device:
            name += "_"
        fills[text] = form.format(name=name, value=value)
    name = re.findall(r"void (\w+)\(", fills[text])[0]
    count = text_of(step.count)
    arguments = ", ".join([step.storage.name, *([source.name] if source else []), count])
    return f"// launch {name}<<<ceil_div({count}, 256), 256>>>({arguments})"


def _literal(value: float) -> str:
    """A constant in device code; half types are made of floats."""
    if isnan(value):
        raise not_understood("a buffer filled with NaN")
    if value in (inf, -inf):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!r}f" if isinstance(value, float) else str(value)


def _guarded(device: str, kernel: str) -> str:
    """The device code with one more parameter of a kernel, without which it does nothing."""
    code = plain(device)
    found = [one for one in declarations(code) if one.name == kernel and not one.is_instance]
    for one in sorted(found, key=lambda declaration: -declaration.position):
        tokens = tokens_of(code[one.position :])
        end = closing(tokens, next(at for at, token in enumerate(tokens) if token.text == "("))
        body = next((at for at in range(end, len(tokens)) if tokens[at].text in ("{", ";")), None)
        if body is None:
            raise not_understood(f"the kernel {kernel:.60} without a body")
        separator = ", " if one.parameters else ""
        places = [(tokens[end].start, f"{separator}int {_GUARD}")]
        if tokens[body].text == "{":
            places.append((tokens[body].end, f" if (!{_GUARD}) return;"))
        for place, text in reversed(places):
            at = one.position + place
            code = code[:at] + text + code[at:]
    return code
