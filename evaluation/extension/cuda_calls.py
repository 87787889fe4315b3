"""CUDA's own host functions: memory is followed, checks and streams decide nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evaluation.expressions import Expression, Number
from evaluation.extension.nodes import Call, Cast, Name, Unary
from evaluation.extension.outcome import NotTakenError, Reason, not_understood
from evaluation.extension.symbolic import Num, num, operation
from evaluation.extension.values import DTYPES, FillStep, HostValue, Opaque, Pointer, Storage
from evaluation.problem import DTYPE_BYTES

if TYPE_CHECKING:
    from evaluation.extension.interpreter import Frame, Interpreter

_CHECK = re.compile(
    r"TORCH_\w*CHECK\w*|TORCH_INTERNAL_ASSERT\w*|TORCH_WARN\w*|AT_ASSERT\w*|AT_ERROR|C10_CUDA\w*|AT_CUDA_CHECK"
    r"|CUDA_CHECK\w*|CHECK_CUDA\w*|cuda(?:GetLast|PeekAtLast)Error|cuda(?:Device|Thread|Stream)Synchronize"
    r"|cudaGetErrorString|cudaFunc\w*|cudaFree\w*|cudaSetDevice|cudaEvent\w+|cudaStream(?:Create|Destroy|Wait)\w*"
    r"|f?printf|exit|abort|throw|assert|raise|print|synchronize|save_for_backward|mark_non_differentiable"
    r"|runtime_error|check_\w+_error|manual_seed"
)
_READS = "the host reads or writes device memory"


def is_check(name: str) -> bool:
    """Whether a function only looks for errors, waits or prints."""
    return _CHECK.fullmatch(name) is not None


def call(interpreter: Interpreter, name: str, node: Call, frame: Frame) -> HostValue:
    """Follow a call of CUDA's runtime."""
    if "Stream" in name or name in ("device_of", "cudaError_t", "cudaGetDevice"):
        return Opaque(name)
    if name in ("cudaMalloc", "cudaMallocAsync"):
        _allocate(interpreter, node, frame)
    elif name in ("cudaMemset", "cudaMemsetAsync"):
        _fill(interpreter, node, frame)
    elif name in ("cudaMemcpy", "cudaMemcpyAsync"):
        _copy(interpreter, node, frame)
    else:
        raise not_understood(f"a call of {name:.60}", node.line)
    return num(0)


def _allocate(interpreter: Interpreter, node: Call, frame: Frame) -> None:
    """`cudaMalloc(&pointer, bytes)`: a buffer of the pointer's type."""
    match node.arguments:
        case (target, size, *_):
            while isinstance(target, Unary | Cast):
                target = target.operand
            if not isinstance(target, Name):
                raise not_understood("this cudaMalloc", node.line)
            type = interpreter.type_name(frame.types.get(f"{target.text} ", "float*"), frame).rstrip("*")
            dtype = DTYPES.get(type, "float32")
            bytes = interpreter.number(size, frame).expression
            count = operation("ceil_div", bytes, Number(DTYPE_BYTES[dtype]))
            frame.names[target.text] = Pointer(interpreter.allocate((count,), dtype))
            return
    raise not_understood("this cudaMalloc", node.line)


def _fill(interpreter: Interpreter, node: Call, frame: Frame) -> None:
    """`cudaMemset(pointer, 0, bytes)`; another byte than 0 is not understood."""
    values = [interpreter.evaluate(one, frame) for one in node.arguments[:3]]
    match values:
        case [Pointer(storage), Num(Number(0)), Num(size)]:
            count = _elements(size, storage)
            interpreter.steps.append(FillStep(storage, 0, count, interpreter.guard.expression))
        case _:
            raise not_understood("a cudaMemset of another byte than 0", node.line)


def _elements(bytes: Expression, storage: Storage) -> Expression:
    """So many bytes of a buffer in elements."""
    return operation("/", bytes, Number(DTYPE_BYTES[storage.dtype]))


def _copy(interpreter: Interpreter, node: Call, frame: Frame) -> None:
    values = [interpreter.evaluate(one, frame) for one in node.arguments[:4]]
    match values:
        case [Pointer(target), Pointer(source), Num(size), Opaque("cudaMemcpyDeviceToDevice")]:
            count = _elements(size, target)
            interpreter.steps.append(FillStep(target, source, count, interpreter.guard.expression))
        case _:
            raise NotTakenError(Reason.DATA_DEPENDENT, _READS, node.line)
