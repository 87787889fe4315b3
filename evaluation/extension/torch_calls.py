"""torch's functions that make, describe and reshape tensors, in C++ and Python; the rest computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from evaluation.expressions import Expression, Number
from evaluation.extension.nodes import Call
from evaluation.extension.outcome import NotTakenError, Reason, library, not_understood
from evaluation.extension.symbolic import Num, num, operation, product
from evaluation.extension.values import (
    DTYPES,
    Dtype,
    FillStep,
    HostValue,
    Many,
    Nothing,
    Opaque,
    Options,
    Pointer,
    Storage,
    Tensor,
)
from evaluation.problem import DTYPE_BYTES

if TYPE_CHECKING:
    from evaluation.extension.interpreter import Frame, Interpreter

_Arguments = Sequence[HostValue]
_Keywords = dict[str, HostValue]
_SAME = frozenset(
    [
        "contiguous",
        "detach",
        "cuda",
        "to",
        "requires_grad_",
        "value",
        "toTensor",
        "alias",
        "expect_contiguous",
        "get",
        "data_",
        "data",
        "variable_data",
        "type",
    ]
)
_TRUE = frozenset(
    ["is_cuda", "is_contiguous", "defined", "has_value", "is_floating_point", "is_non_overlapping_and_dense"]
)
_READS = frozenset(["item", "cpu", "tolist", "numpy", "nonzero", "to_list", "accessor", "any", "all"])
_RANK_1 = {"view", "reshape", "view_as", "reshape_as", "flatten", "squeeze", "unsqueeze"}


def parameter(interpreter: Interpreter, path: str, line: int) -> Tensor:
    """The program's parameter that a path (`linear.weight`) means, or the only one that ends as it does."""
    name = path.replace(".", "_")
    found = interpreter.parameters.get(name)
    if found is not None:
        return found
    ending = path.split(".")[-1]
    like = [one for key, one in interpreter.parameters.items() if key == ending or key.endswith(f"_{ending}")]
    if len(like) == 1:
        return like[0]
    raise not_understood(f"self.{path:.60}, which is no parameter of the program,", line)


def property_of(tensor: Tensor, name: str, line: int) -> HostValue:
    """`tensor.name` in Python, and `tensor.name()` of the same meaning in C++."""
    if name in ("shape", "sizes", "size"):
        return Many(tuple(Num(extent) for extent in tensor.shape))
    if name in ("dtype", "scalar_type", "type"):
        return Dtype(tensor.storage.dtype)
    if name in ("ndim", "dim", "ndimension"):
        return num(len(tensor.shape))
    if name in ("device", "get_device", "layout"):
        return Opaque(name)
    if name == "data":
        return tensor
    if name in ("is_cuda", "requires_grad"):
        return num(name == "is_cuda")
    raise library(f".{name} of a tensor", line)


def method(
    interpreter: Interpreter,
    tensor: Tensor,
    name: str,
    arguments: _Arguments,
    keywords: _Keywords,
    node: Call,
    frame: Frame,
) -> HostValue:
    """Call a method of a tensor."""
    if name in ("data_ptr", "mutable_data_ptr", "const_data_ptr", "data") and (
        node.template or name != "data"
    ):
        return _pointer(interpreter, tensor, node, frame)
    if name == "size" and arguments:
        return Num(tensor.shape[_axis(arguments[0], tensor, node.line)])
    if name in (
        "shape",
        "sizes",
        "size",
        "scalar_type",
        "dtype",
        "ndim",
        "dim",
        "ndimension",
        "device",
        "get_device",
    ):
        return property_of(tensor, name, node.line)
    if name == "type" and not arguments:
        return property_of(tensor, name, node.line)
    if name == "stride" and arguments:
        return Num(product(tensor.shape[_axis(arguments[0], tensor, node.line) + 1 :]))
    if name in ("numel", "nelement"):
        return Num(product(tensor.shape))
    if name in ("element_size", "itemsize"):
        return num(DTYPE_BYTES[tensor.storage.dtype])
    if name in ("nbytes",):
        return Num(operation("*", product(tensor.shape), Number(DTYPE_BYTES[tensor.storage.dtype])))
    if name == "options":
        return Options(tensor.storage.dtype)
    if name in _TRUE:
        return num(True)
    if name in ("requires_grad", "is_sparse", "has_names"):
        return num(False)
    if name in _SAME or name in ("float", "half", "double", "bfloat16", "long", "int"):
        return _same(tensor, name, arguments, node.line)
    if name in _RANK_1:
        return Tensor(tensor.storage, _reshaped(tensor, name, arguments, node.line))
    if name in ("zero_", "fill_", "copy_", "clone"):
        return _filled(interpreter, tensor, name, arguments, node.line)
    if name.startswith("new_") and name[4:] in FUNCTIONS:
        keywords = {"dtype": Dtype(tensor.storage.dtype)} | keywords
        return FUNCTIONS[name[4:]](interpreter, arguments, keywords, node.line)
    if name in _READS:
        raise NotTakenError(Reason.DATA_DEPENDENT, f"the host reads a tensor by .{name}()", node.line)
    if "accessor" in name:
        raise not_understood(f".{name:.40}() of a tensor", node.line)
    raise library(f".{name:.40}() of a tensor", node.line)


def _pointer(interpreter: Interpreter, tensor: Tensor, node: Call, frame: Frame) -> Pointer:
    if node.template:
        type = interpreter.type_name(node.template[0], frame)
        if DTYPES.get(type) != tensor.storage.dtype:
            detail = f"data_ptr<{node.template[0]}>() of a {tensor.storage.dtype} tensor"
            raise NotTakenError(Reason.OTHER_RESULT, detail, node.line)
    return Pointer(tensor.storage)


def _same(tensor: Tensor, name: str, arguments: _Arguments, line: int) -> Tensor:
    """A conversion that changes nothing."""
    wanted = [value.name for value in arguments if isinstance(value, Dtype)]
    if name in DTYPES:
        wanted.append(DTYPES[name])
    if any(dtype != tensor.storage.dtype for dtype in wanted):
        raise library(f"a conversion of a {tensor.storage.dtype} tensor to {wanted[0]}", line)
    return tensor


def _filled(interpreter: Interpreter, tensor: Tensor, name: str, arguments: _Arguments, line: int) -> Tensor:
    if name == "clone":
        copy = interpreter.allocate(tensor.shape, tensor.storage.dtype)
        interpreter.steps.append(
            FillStep(copy, tensor.storage, product(tensor.shape), interpreter.guard.expression)
        )
        return Tensor(copy, tensor.shape)
    if name == "copy_":
        source = arguments[0] if arguments else Nothing()
        if not isinstance(source, Tensor) or source.shape != tensor.shape or not tensor.storage.allocated:
            raise library("a copy between tensors", line)
        interpreter.steps.append(
            FillStep(tensor.storage, source.storage, product(tensor.shape), interpreter.guard.expression)
        )
        return tensor
    if not tensor.storage.allocated:
        raise not_understood("an input that is filled", line)
    value = num(0) if name == "zero_" else arguments[0] if arguments else Nothing()
    _fill(interpreter, tensor.storage, value, line)
    return tensor


def _fill(interpreter: Interpreter, storage: Storage, value: HostValue, line: int) -> None:
    if not isinstance(value, Num) or value.constant is None:
        raise not_understood("a tensor filled with what is no constant", line)
    interpreter.steps.append(
        FillStep(storage, value.constant, product(storage.shape), interpreter.guard.expression)
    )


def _axis(value: HostValue, tensor: Tensor, line: int) -> int:
    axis = value.constant if isinstance(value, Num) else None
    if not isinstance(axis, int) or not -len(tensor.shape) <= axis < len(tensor.shape):
        raise not_understood(f"an axis of a tensor of {len(tensor.shape)} dimensions", line)
    return axis % len(tensor.shape)


def _shape(values: _Arguments, line: int) -> tuple[Expression, ...]:
    """A shape, as one list or as numbers."""
    items = values[0].items if values and isinstance(values[0], Many) else tuple(values)
    found = [item.expression for item in items if isinstance(item, Num) and not item.is_float]
    if len(found) != len(items):
        raise not_understood("a shape that is no list of integers", line)
    return tuple(found)


def _reshaped(tensor: Tensor, name: str, arguments: _Arguments, line: int) -> tuple[Expression, ...]:
    """The new shape; memory stays as it is."""
    shape = tensor.shape
    if name.endswith("_as"):
        return arguments[0].shape if arguments and isinstance(arguments[0], Tensor) else shape
    if name == "flatten":
        begin = _axis(arguments[0], tensor, line) if arguments else 0
        end = _axis(arguments[1], tensor, line) if len(arguments) > 1 else len(shape) - 1
        return (*shape[:begin], product(shape[begin : end + 1]), *shape[end + 1 :])
    if name == "squeeze":
        if not arguments:
            return tuple(extent for extent in shape if extent != Number(1))
        axis = _axis(arguments[0], tensor, line)
        return shape[:axis] + shape[axis + 1 :]
    if name == "unsqueeze":
        place = arguments[0].constant if arguments and isinstance(arguments[0], Num) else None
        if not isinstance(place, int) or not -len(shape) - 1 <= place <= len(shape):
            raise not_understood("this unsqueeze", line)
        place %= len(shape) + 1
        return (*shape[:place], Number(1), *shape[place:])
    wanted = _shape(arguments, line)
    known = product(tuple(extent for extent in wanted if extent != Number(-1)))
    rest = operation("/", product(shape), known)
    return tuple(rest if extent == Number(-1) else extent for extent in wanted)


# --- functions


def _dtype(arguments: _Arguments, keywords: _Keywords, default: str) -> str:
    for value in (keywords.get("dtype"), *arguments):
        if isinstance(value, Dtype):
            return value.name
        if isinstance(value, Options):
            return value.dtype
    return default


def _made(fill: float | None, like: bool) -> Callable[[Interpreter, _Arguments, _Keywords, int], HostValue]:
    """A function that makes a tensor; `fill` is inf for one whose value is an argument."""

    def make(interpreter: Interpreter, arguments: _Arguments, keywords: _Keywords, line: int) -> Tensor:
        arguments = list(arguments)
        if "size" in keywords:
            arguments.insert(0, keywords["size"])
        if like:
            model = arguments[0] if arguments else Nothing()
            if not isinstance(model, Tensor):
                raise not_understood("a tensor made like what is none", line)
            shape, dtype, rest = model.shape, model.storage.dtype, arguments[1:]
        elif arguments and isinstance(arguments[0], Many):
            shape, dtype, rest = _shape(arguments[:1], line), "float32", arguments[1:]
        else:
            numbers = [value for value in arguments if isinstance(value, Num)]
            rest = [value for value in arguments if not isinstance(value, Num)]
            shape, dtype = _shape(numbers, line), "float32"
        storage = interpreter.allocate(shape, _dtype(rest, keywords, dtype))
        if fill is not None:
            value: HostValue = num(fill)
            if not isfinite(fill):
                value = keywords.get("fill_value") or (rest[0] if rest else Nothing())
            _fill(interpreter, storage, value, line)
        return Tensor(storage, shape)

    return make


def _options(_: Interpreter, arguments: _Arguments, keywords: _Keywords, line: int) -> HostValue:
    return Options(_dtype(arguments, keywords, "float32"))


def _undefined(_: Interpreter, arguments: _Arguments, keywords: _Keywords, line: int) -> HostValue:
    return arguments[0] if arguments else Nothing()


FUNCTIONS: dict[str, Callable[[Interpreter, _Arguments, _Keywords, int], HostValue]] = {
    **{
        f"{name}{suffix}": _made(fill, bool(suffix))
        for name, fill in (("empty", None), ("zeros", 0.0), ("ones", 1.0), ("full", float("inf")))
        for suffix in ("", "_like")
    },
    **dict.fromkeys(("TensorOptions", "dtype", "device"), _options),
    **dict.fromkeys(("Tensor", "optional", "nullopt", "OptionalTensorRef"), _undefined),
}
"""torch's functions that do not compute, by their names."""
