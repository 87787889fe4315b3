"""What host code handles: tensors by their shapes, pointers, types; never a tensor's contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from evaluation.answer.kernel_names import CPP_TYPES
from evaluation.expressions import Expression, Number
from evaluation.extension.nodes import Function, Lambda
from evaluation.extension.outcome import NotTakenError
from evaluation.extension.symbolic import Num, num
from evaluation.extension.units import Unit

_DTYPES = {
    "float32": "float,Float,float32,kFloat,kFloat32,float32_t",
    "float64": "double,Double,float64,kDouble,kFloat64",
    "float16": "half,Half,float16,kHalf,kFloat16,__half",
    "bfloat16": "bfloat16,BFloat16,kBFloat16,__nv_bfloat16,nv_bfloat16",
    "int64": "long,Long,int64,kLong,kInt64,int64_t,long long",
    "int32": "int,Int,int32,kInt,kInt32,int32_t,unsigned,unsigned int,uint32_t",
    "int16": "short,Short,int16,kShort,kInt16,int16_t",
    "int8": "char,Char,int8,kChar,kInt8,int8_t,signed char",
    "uint8": "Byte,uint8,kByte,kUInt8,uint8_t,unsigned char",
    "bool": "bool,Bool,kBool",
}
DTYPES = {name: dtype for dtype, names in _DTYPES.items() for name in names.split(",")}
"""dtypes by the names that C++, torch and Python have for them."""


@dataclass(eq=False)
class Storage:
    """The memory of a tensor."""

    name: str
    dtype: str
    shape: tuple[Expression, ...]
    """As it was made."""
    allocated: bool = True
    """By the host code; else it is an input or a parameter of the program."""


@dataclass(frozen=True)
class Tensor:
    """A contiguous tensor: memory, seen in a shape."""

    storage: Storage
    shape: tuple[Expression, ...]


@dataclass(frozen=True)
class Pointer:
    """The address of a tensor's first element."""

    storage: Storage


@dataclass(frozen=True)
class Many:
    """A tuple, list, vector, shape or dim3."""

    items: tuple[HostValue, ...]


@dataclass(frozen=True)
class Text:
    """A string, and the line at which it begins."""

    value: str
    line: int = 0


@dataclass(frozen=True)
class Dtype:
    """A dtype by its name."""

    name: str


@dataclass(frozen=True)
class Options:
    """torch's options of a tensor to be made."""

    dtype: str = "float32"


@dataclass(frozen=True)
class Nothing:
    """None, a null pointer, an undefined tensor, or what a void function gives."""


@dataclass(frozen=True)
class Opaque:
    """What decides nothing: a stream, a device, a guard."""

    what: str


@dataclass(frozen=True)
class Closure:
    """A lambda."""

    node: Lambda


@dataclass(frozen=True)
class Namespace:
    """A module of Python, or what is in one, by its full name."""

    name: str


@dataclass(frozen=True, eq=False)
class Extension:
    """What `load_inline` gives."""

    unit: Unit


@dataclass(frozen=True, eq=False)
class PythonClass:
    """A class of the answer."""

    name: str
    methods: dict[str, Function]


@dataclass(frozen=True, eq=False)
class Self:
    """The model: what `__init__` has put into it."""

    methods: dict[str, Function]
    attributes: dict[str, HostValue]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of torch in the model: its parameters and settings are used, it is never called."""

    kind: str
    settings: dict[str, HostValue]
    name: str = ""
    """The attribute of the model that holds it."""


@dataclass(frozen=True)
class Parameter:
    """A parameter or buffer of the model, before it is known by its attribute's name."""


@dataclass(frozen=True)
class Method:
    """A method of a value, about to be called."""

    object: HostValue
    name: str


@dataclass(frozen=True)
class Broken:
    """A value whose making is not understood, which matters only where it is used."""

    error: NotTakenError


HostValue: TypeAlias = (
    Num | Tensor | Pointer | Many | Text | Dtype | Options | Nothing | Opaque | Closure | Namespace
    | Extension | PythonClass | Self | Layer | Parameter | Method | Function | Broken
)  # fmt: skip


ALWAYS = Number(1)
"""The guard of what the host does at all sizes."""


@dataclass(frozen=True)
class LaunchStep:
    """A kernel launch."""

    kernel: str
    template: tuple[str, ...]
    grid: tuple[Expression, ...]
    block: tuple[Expression, ...]
    shared: Expression
    arguments: tuple[Expression | Storage, ...]
    guard: Expression = ALWAYS
    """0 where the host would not launch it."""


@dataclass(frozen=True)
class FillStep:
    """Memory is filled with a constant, or with what another holds."""

    storage: Storage
    value: float | int | Storage
    count: Expression
    """Elements, from the first one on."""
    guard: Expression = ALWAYS


Step: TypeAlias = LaunchStep | FillStep


def cpp_type(dtype: str) -> str:
    """The type of C++ that a dtype has in device code."""
    return "int64_t" if dtype == "int64" else CPP_TYPES[dtype]


def dim3(value: HostValue) -> Many:
    """A grid or block: one to three numbers."""
    if isinstance(value, Many) and len(value.items) == 1 and isinstance(value.items[0], Many):
        return dim3(value.items[0])
    items = value.items if isinstance(value, Many) else (value,) if isinstance(value, Num) else ()
    return Many((*items, num(1), num(1), num(1))[:3])


def described(value: HostValue) -> str:
    """What a value is, in an error's words."""
    names = {"Num": "a number", "Many": "a list", "Nothing": "nothing", "Text": "a string"}
    return names.get(type(value).__name__, f"a {type(value).__name__.lower()}")
