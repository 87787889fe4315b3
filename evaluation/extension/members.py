"""What names, members and functions of torch, CUDA, C++ and Python mean to host code that is followed.

Only what makes, describes and passes tensors is known here. Every other function of torch computes, and so
ends the reading: the answer calls a library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf, pi
from typing import TYPE_CHECKING

from evaluation.extension import cuda_calls, plain_calls, torch_calls
from evaluation.extension.nodes import Call, Member, Name, Node
from evaluation.extension.outcome import library, not_understood
from evaluation.extension.symbolic import Num, num, product
from evaluation.extension.units import read_units
from evaluation.extension.values import (
    DTYPES,
    Broken,
    Dtype,
    Extension,
    HostValue,
    Layer,
    Many,
    Method,
    Namespace,
    Nothing,
    Opaque,
    Options,
    Parameter,
    PythonClass,
    Self,
    Tensor,
    Text,
    described,
)

if TYPE_CHECKING:
    from evaluation.extension.interpreter import Frame, Interpreter

_CONSTANTS: dict[str, float | int] = {
    "INFINITY": inf, "CUDART_INF_F": inf, "HUGE_VALF": inf, "FLT_MAX": 3.4028234663852886e38, "M_PI": pi,
    "FLT_MIN": 1.1754943508222875e-38, "FLT_EPSILON": 1.1920928955078125e-07, "INT_MAX": 2**31 - 1,
    "cudaSuccess": 0, "inf": inf, "pi": pi, "M_SQRT1_2": 0.5**0.5,
}  # fmt: skip
_LIMITS = {"infinity": inf, "max": 3.4028234663852886e38, "lowest": -3.4028234663852886e38}
_LIBRARIES = re.compile(r"(?:torch|at|c10|F|nn|np|numpy)\b")
_COMPUTING = re.compile(r"cublas|cudnn|cusparse|cusolver|curand|cufft|thrust$|cub$|cutlass$|cute$")
#: The settings of layers by position.
_SETTINGS = {
    "Linear": "in_features out_features bias",
    "LayerNorm": "normalized_shape eps",
    "GroupNorm": "num_groups num_channels eps",
    **dict.fromkeys(
        [f"{kind}Norm{rank}d" for kind in ("Batch", "Instance") for rank in (1, 2, 3)],
        "num_features eps momentum",
    ),
    **dict.fromkeys(
        [f"{kind}Pool{rank}d" for kind in ("Max", "Avg") for rank in (1, 2, 3)], "kernel_size stride padding"
    ),
    **dict.fromkeys(
        [f"Conv{rank}d" for rank in (1, 2, 3)],
        "in_channels out_channels kernel_size stride padding dilation groups bias",
    ),
    **dict.fromkeys(
        [f"ConvTranspose{rank}d" for rank in (1, 2, 3)],
        "in_channels out_channels kernel_size stride padding output_padding groups bias dilation",
    ),
}
_DEFAULTS = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "output_padding": 0,
    "eps": 1e-5,
    "momentum": 0.1,
}


def named(text: str, line: int, is_cpp: bool) -> HostValue:
    """What a name means that the answer itself does not define."""
    parts = text.split("::")
    if parts[-1] in DTYPES and (len(parts) > 1 or not is_cpp):
        return Dtype(DTYPES[parts[-1]])
    if parts[-1] in _CONSTANTS:
        return num(_CONSTANTS[parts[-1]])
    if parts[-1] in ("nullopt", "None", "undefined"):
        return Nothing()
    if (
        parts[0] in ("torch", "at", "c10")
        or text.startswith(("cuda", "std::"))
        or text in ("cerr", "cout", "endl")
    ):
        return Opaque(text)
    if not is_cpp and parts[-1] in _PYTHON:
        return Namespace(text)
    raise not_understood(f"the name {text:.60}", line)


_PYTHON = frozenset(
    [
        "min",
        "max",
        "int",
        "float",
        "len",
        "tuple",
        "list",
        "super",
        "isinstance",
        "print",
        "abs",
        "bool",
        "round",
        "sum",
        "object",
    ]
)


def attribute(interpreter: Interpreter, name: str, value: HostValue, line: int) -> HostValue:
    """A value as an attribute of the model: parameters and layers learn their name."""
    if isinstance(value, Parameter):
        return torch_calls.parameter(interpreter, name, line)
    return Layer(value.kind, value.settings, name) if isinstance(value, Layer) else value


def member(interpreter: Interpreter, value: HostValue, name: str, line: int) -> HostValue:
    """`value.name`, called or not."""
    match value:
        case Namespace(prefix):
            return _in_namespace(prefix, name)
        case Self():
            found = value.attributes.get(name)
            if isinstance(found, Broken):
                raise found.error
            if found is not None:
                return found
            if name in value.methods or name in ("register_buffer", "register_parameter"):
                return Method(value, name)
            raise not_understood(f"self.{name:.60}, which __init__ does not set,", line)
        case Layer():
            if name in value.settings:
                return value.settings[name]
            if name == "bias" and value.settings.get("bias") == num(False):
                return Nothing()
            return torch_calls.parameter(interpreter, f"{value.name}.{name}", line)
        case Many(items) if name in ("x", "y", "z") and len(items) == 3:
            return items["xyz".index(name)]
        case Tensor() if name in (
            "shape",
            "dtype",
            "ndim",
            "device",
            "data",
            "T",
            "mT",
            "is_cuda",
            "requires_grad",
        ):
            return torch_calls.property_of(value, name, line)
        case Opaque(what):
            return Opaque(what)
    return Method(value, name)


def _in_namespace(prefix: str, name: str) -> HostValue:
    if prefix == "torch" and name in DTYPES:
        return Dtype(DTYPES[name])
    if prefix in ("math", "np", "numpy", "torch") and name in _CONSTANTS:
        return num(_CONSTANTS[name])
    return Namespace(f"{prefix}.{name}")


def effects(interpreter: Interpreter, arguments: Sequence[Node], frame: Frame) -> None:
    """Follow the calls of CUDA within a check: `CHECK(cudaMalloc(&p, n))`."""
    for node in arguments:
        if (
            isinstance(node, Call)
            and isinstance(node.function, Name)
            and node.function.text.startswith("cuda")
        ):
            call(interpreter, node.function.text, node, frame)


def call(interpreter: Interpreter, name: str, node: Call, frame: Frame) -> HostValue:
    """Call a function that the answer does not define, by its full name in C++ or Python."""
    name = name.replace(".", "::")
    *prefixes, base = name.split("::")
    if cuda_calls.is_check(base):
        effects(interpreter, node.arguments, frame)
        return num(0)
    if _COMPUTING.match(base) or (prefixes and _COMPUTING.match(prefixes[0])):
        raise library(name, node.line)
    if base == "Parameter" or (base == "register_buffer" and not prefixes):
        return Parameter()
    if base == "load_inline":
        return _load_inline(interpreter, node, frame)
    if base.startswith("cuda") or base in ("device_of", "getDefaultCUDAStream", "getCurrentCUDAStream"):
        return cuda_calls.call(interpreter, base, node, frame)
    if "nn" in prefixes and base[:1].isupper():
        return _layer(interpreter, base, node, frame)
    if prefixes and prefixes[-1].startswith("numeric_limits") and base in _LIMITS:
        return num(_LIMITS[base])
    if any(
        word in name
        for word in ("Guard", "Stream", "Event_t", "no_grad", "cuda::", "utils::", "::device", "super")
    ):
        return Opaque(name)
    is_torch = bool(prefixes) and prefixes[0] in ("torch", "at", "c10") and len(prefixes) < 3
    if is_torch and base in torch_calls.FUNCTIONS:
        arguments, keywords = interpreter.arguments(node, frame)
        return torch_calls.FUNCTIONS[base](interpreter, arguments, keywords, node.line)
    found = plain_calls.plain_call(interpreter, base, node, frame)
    if found is not None:
        return found
    if _LIBRARIES.match(name):
        raise library(name, node.line)
    raise not_understood(f"the function {name:.60}", node.line)


def _load_inline(interpreter: Interpreter, node: Call, frame: Frame) -> HostValue:
    """The extension that the sources make; they are strings or lists of strings."""
    arguments = dict(node.keywords)
    arguments |= dict(zip(("name", "cpp_sources", "cuda_sources"), node.arguments, strict=False))
    texts: list[tuple[str, int]] = []
    for key in ("cpp_sources", "cuda_sources"):
        value = interpreter.evaluate(arguments[key], frame) if key in arguments else Many(())
        for item in value.items if isinstance(value, Many) else (value,):
            if not isinstance(item, Text):
                raise not_understood(f"{key} that is no string of the file", node.line)
            texts.append((item.value, item.line))
    interpreter.units.append(read_units(texts))
    return Extension(interpreter.units[-1])


def _layer(interpreter: Interpreter, kind: str, node: Call, frame: Frame) -> Layer:
    names = _SETTINGS.get(kind, "").split()
    settings: dict[str, HostValue] = {}
    for name, one in (*zip(names, node.arguments, strict=False), *node.keywords):
        settings[name] = interpreter.evaluate(one, frame)
    if "Pool" in kind and "kernel_size" in settings:
        settings.setdefault("stride", settings["kernel_size"])
    rank = int(kind[-2]) if kind[-2:-1].isdigit() else 0
    for name, default in _DEFAULTS.items():
        if name in names:
            settings.setdefault(name, num(default))
    if rank and "Conv" in kind:
        for name in ("kernel_size", "stride", "padding", "dilation", "output_padding"):
            if isinstance(value := settings.get(name), Num):
                settings[name] = Many((value,) * rank)
    if settings.get("bias") != num(False):
        settings.pop("bias", None)
    return Layer(kind, settings)


def method(interpreter: Interpreter, object: HostValue, name: str, node: Call, frame: Frame) -> HostValue:
    """Call a method of a value."""
    match object:
        case Extension():
            return _extension_call(interpreter, object, name, node, frame)
        case Self():
            return _self_call(interpreter, object, name, node, frame)
        case PythonClass():
            arguments, keywords = interpreter.arguments(node, frame)
            function = object.methods.get("forward" if name == "apply" else name)
            if function is None:
                raise not_understood(f"{object.name}.{name}", node.line)
            first = [Opaque("ctx")] if name == "apply" else []
            return interpreter.enter(function, [*first, *arguments], keywords, None, node.line)
        case Opaque():
            return Opaque(object.what)
        case Layer():
            raise library(f"the layer {object.kind}", node.line)
        case Many():
            return _list_method(interpreter, object, name, node, frame)
    arguments, keywords = interpreter.arguments(node, frame)
    match object:
        case Tensor():
            return torch_calls.method(interpreter, object, name, arguments, keywords, node, frame)
        case Options():
            dtypes = [value for value in arguments if isinstance(value, Dtype)]
            return Options(dtypes[0].name) if name == "dtype" and dtypes else object
        case Nothing() if name in ("has_value", "defined"):
            return num(False)
        case Text(text, line) if name in ("strip", "lstrip", "rstrip"):
            return Text(text, line)
        case Text(text, line) if name == "replace" and len(arguments) == 2:
            old, new = arguments
            if isinstance(old, Text) and isinstance(new, Text) and old.value and len(text) < 10**5:
                return Text(text.replace(old.value, new.value)[: 10**6], line)
    raise not_understood(f".{name:.40}() of {described(object)}", node.line)


def _extension_call(
    interpreter: Interpreter, extension: Extension, name: str, node: Call, frame: Frame
) -> HostValue:
    """Python calls a C++ function."""
    arguments, keywords = interpreter.arguments(node, frame)
    unit = extension.unit
    binding = unit.bindings.get(name)
    target = binding.function if binding else name
    functions = unit.functions.get(target) if isinstance(target, str) else [target]
    if not functions:
        raise not_understood(f"the function {name:.60}, which the sources do not define,", node.line)
    names = binding.names if binding and binding.names else [one.name for one in functions[0].parameters]
    defaults = dict(binding.defaults) if binding else {}
    for parameter in names[len(arguments) :]:
        if parameter in keywords:
            arguments.append(keywords[parameter])
        elif parameter in defaults:
            arguments.append(interpreter.evaluate(defaults[parameter], frame))
        else:
            break
    return interpreter.call_host(functions, arguments, unit, node.line)


def _self_call(interpreter: Interpreter, model: Self, name: str, node: Call, frame: Frame) -> HostValue:
    if name in ("register_buffer", "register_parameter"):
        first = interpreter.evaluate(node.arguments[0], frame) if node.arguments else Nothing()
        if not isinstance(first, Text):
            raise not_understood(f"this {name}", node.line)
        model.attributes[first.value] = torch_calls.parameter(interpreter, first.value, node.line)
        return Nothing()
    arguments, keywords = interpreter.arguments(node, frame)
    return interpreter.enter(model.methods[name], [model, *arguments], keywords, None, node.line)


def _list_method(interpreter: Interpreter, value: Many, name: str, node: Call, frame: Frame) -> HostValue:
    arguments, _ = interpreter.arguments(node, frame)
    if (
        name in ("push_back", "emplace_back", "append")
        and len(arguments) == 1
        and isinstance(node.function, Member)
    ):
        interpreter.bind(node.function.object, Many((*value.items, arguments[0])), frame)
        return Nothing()
    if name == "size" and not arguments:
        return num(len(value.items))
    if name == "numel":
        return Num(product(tuple(item.expression for item in value.items if isinstance(item, Num))))
    if name in ("back", "front") and value.items:
        return value.items[-1 if name == "back" else 0]
    if name in ("at",) and arguments and isinstance(arguments[0], Num):
        place = arguments[0].constant
        if isinstance(place, int) and 0 <= place < len(value.items):
            return value.items[place]
    if name in ("vec", "sizes"):
        return value
    if name == "slice" and len(arguments) == 2:
        begin, count = (one.constant if isinstance(one, Num) else None for one in arguments)
        if isinstance(begin, int) and isinstance(count, int):
            return Many(value.items[begin : begin + count])
    raise not_understood(f".{name:.40}() of a list", node.line)
