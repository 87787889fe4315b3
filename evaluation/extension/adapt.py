"""Takes an answer written as a torch extension over into the kernel contract, or says why not.

`adapt` reads two forms: Python with `load_inline` and a class `ModelNew`, and bare C++ that includes
`torch/extension.h`. It follows the host code from `forward` to the launches (`interpreter`), with sizes as
symbols, and writes what it did as scratch and launch lines (`emit`). Nothing of an answer is run, and no text
makes it raise. Whether the kernels are right, the judge says.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import pairwise

from evaluation.answer.launch_lines import has_launch
from evaluation.answer.response import fenced
from evaluation.expressions import Dimension, Expression, ExpressionError, Number, Scope, evaluate
from evaluation.extension import emit
from evaluation.extension.constants import argument_names, init_inputs, input_values, numbers
from evaluation.extension.interpreter import Frame, Interpreter
from evaluation.extension.nodes import Assignment, Evaluation, Function, Member, Name, Parameter, Statement
from evaluation.extension.outcome import Adapted, NotTakenError, Reason, Refused, not_understood
from evaluation.extension.python_reader import Module, parsed, read_module
from evaluation.extension.units import Binding, HostFunction, Unit, read_units
from evaluation.extension.values import (
    Broken,
    HostValue,
    LaunchStep,
    Many,
    Namespace,
    PythonClass,
    Self,
    Storage,
    Tensor,
)
from evaluation.problem import Instance, Problem
from evaluation.problem import Tensor as Declared
from evaluation.source_text import plain

MAX_BYTES = 262_144
"""Longest answer that is looked at."""

_MARKS = re.compile(
    r"\bload_inline\s*\(|\btorch/(?:extension|all|torch|types)\.h|\bPYBIND11_MODULE\b|\bATen/ATen\.h"
    r"|\b(?:torch|at)::Tensor\b|\bclass\s+ModelNew\b"
)


def is_extension(text: str) -> bool:
    """Whether a text is such an answer, or holds one in a fenced block.

    What comments and prose say makes none, nor does a response with a kernel file of our own.
    """
    text = text[:MAX_BYTES]
    if _MARKS.search(text) is None:
        return False
    blocks = fenced(text) or [text]
    marked = [_MARKS.search(plain(block)) is not None for block in blocks]
    own = [has_launch(block) for block in blocks]
    return any(marked) and (True, False) not in zip(own, marked, strict=True)


def adapt(text: str, problem: Problem) -> Adapted | Refused:
    """The answer as a kernel file for `problem`, or why it is not taken; never raises."""
    try:
        return read_answer(text, problem)
    except Exception as error:  # a fault of ours must not stop whoever reads a thousand answers
        return Refused(Reason.NOT_UNDERSTOOD, f"the reader failed ({type(error).__name__})")


def read_answer(text: str, problem: Problem) -> Adapted | Refused:
    """The same, but faults of the reader are raised: for its tests."""
    instances = [problem.shipped, *problem.checks, *problem.aligned, *problem.ladder]
    try:
        return Adapted(_Answer(instances).adapted(_source(text)))
    except NotTakenError as error:
        return error.refused
    except RecursionError:
        return Refused(Reason.NOT_UNDERSTOOD, "code that is nested too deep")


def _source(text: str) -> str:
    """The code of an answer: a fenced block of a response, or the text itself."""
    if len(text) > MAX_BYTES:
        raise not_understood(f"an answer of more than {MAX_BYTES} characters")
    blocks = fenced(text)
    if blocks is None:
        raise not_understood("a response that ends inside a thought")
    if not blocks:
        return text
    found = [block for block in blocks if is_extension(block)]
    if not found:
        raise NotTakenError(Reason.NO_KERNEL, "no fenced block holds an extension")
    return found[-1]


class _Answer:
    """The reading of one answer."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._instances = instances
        self._shipped = instances[0]
        self._interpreter = Interpreter()
        self._tensors = {
            tensor.name: self._tensor(tensor) for tensor in (*self._shipped.inputs, *self._shipped.parameters)
        }
        self._interpreter.parameters = {
            tensor.name: self._tensors[tensor.name] for tensor in self._shipped.parameters
        }

    def adapted(self, source: str) -> str:
        """The kernel file."""
        tree = parsed(source)
        if tree is not None and any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
            device, result = self._python(read_module(tree), source)
        else:
            unit = read_units([(source, 1)])
            device, result = unit.device, self._bare(unit)
        self._name_outputs(result)
        names = {tensor.name for instance in self._instances for tensor in _all(instance)}
        sizes = {name for instance in self._instances for name in instance.sizes}
        return emit.kernel_file(device, self._interpreter.steps, names | sizes)

    def _tensor(self, declared: Declared) -> Tensor:
        """A tensor of the program; an extent that is 1 at all sizes is a constant."""
        shape: list[Expression] = []
        for axis in range(len(declared.shape)):
            found = {_shape(instance, declared.name)[axis : axis + 1] for instance in self._instances}
            shape.append(Number(1) if found == {(1,)} else Dimension(declared.name, Number(axis)))
        return Tensor(Storage(declared.name, declared.dtype, tuple(shape), allocated=False), tuple(shape))

    # --- Python

    def _python(self, module: Module, source: str) -> tuple[str, HostValue]:
        """The device code, and what the model returns."""
        if "load_inline" not in source:
            is_triton = any(full.partition(".")[0] == "triton" for full in module.imports.values())
            reason = "kernels in the Triton language" if is_triton else "no call of load_inline"
            raise NotTakenError(Reason.NO_KERNEL, reason)
        names = self._interpreter.python
        names |= {name: Namespace(full) for name, full in module.imports.items()}
        names |= module.functions
        names |= {name: PythonClass(name, methods) for name, methods in module.classes.items()}
        for statement in module.assignments:
            self._assign(statement, Frame(None, names))
        model = self._model(module)
        result = self._forward(model)
        units = self._interpreter.units
        launched = {step.kernel for step in self._interpreter.steps if isinstance(step, LaunchStep)}
        used = [unit for unit in units if unit.kernels & launched] or units
        return "\n".join(unit.device for unit in used), result

    def _model(self, module: Module) -> Self:
        """The model with what its `__init__` sets."""
        classes = {name: methods for name, methods in module.classes.items() if "forward" in methods}
        name = next((one for one in ("ModelNew", "Model") if one in classes), None)
        if name is None:
            if "fused_operator" in module.functions:
                return Self({"forward": _method(module.functions["fused_operator"])}, {})
            raise NotTakenError(Reason.NO_KERNEL, "no class ModelNew")
        model = Self(classes[name], {})
        made = classes[name].get("__init__")
        if made is None:
            return model
        frame = Frame(None, {"self": model})
        given = init_inputs(self._instances)
        for at, parameter in enumerate(made.parameters[1:]):
            if at < len(given):
                frame.names[parameter.name] = given[at]
            elif parameter.default is not None:
                frame.names[parameter.name] = self._interpreter.evaluate(parameter.default, frame)
        for statement in made.body:
            self._assign(statement, frame)
        return model

    def _assign(self, statement: Statement, frame: Frame) -> None:
        """Follow a statement outside of `forward`; what is not understood there may never be used."""
        try:
            self._interpreter.execute([statement], frame)
        except NotTakenError as error:
            match statement:
                case Evaluation(_, Assignment(_, Name(_, name), _, _)):
                    frame.names[name] = Broken(error)
                case Evaluation(_, Assignment(_, Member(_, Name(_, "self"), name), _, _)):
                    model = frame.names.get("self")
                    if isinstance(model, Self):
                        model.attributes[name] = Broken(error)

    def _forward(self, model: Self) -> HostValue:
        forward = model.methods["forward"]
        arguments = self._arguments(len(forward.parameters) - 1)
        return self._interpreter.enter(forward, [model, *arguments], {}, None, forward.line)

    def _arguments(self, most: int) -> list[HostValue]:
        """What `get_inputs` gives, in order."""
        tensors: list[HostValue] = [self._tensors[tensor.name] for tensor in self._shipped.inputs]
        names, plain = argument_names(self._shipped.program), input_values(self._instances)
        if len(tensors) < len(plain):
            by_name = {tensor.name: self._tensors[tensor.name] for tensor in self._shipped.inputs}
            tensors = [by_name.get(name, value) for name, value in zip(names, plain, strict=False)]
        return tensors[:most]

    # --- C++ alone

    def _bare(self, unit: Unit) -> HostValue:
        """What the function of a C++ text returns for the program's tensors."""
        function, binding = _entry(unit)
        waiting: list[HostValue] = list(self._tensors.values())
        given = numbers(self._instances)
        defaults = dict(binding.defaults) if binding else {}
        frame = Frame(unit, {})
        arguments: list[HostValue] = []
        for at, parameter in enumerate(function.parameters):
            named = binding.names[at] if binding and at < len(binding.names) else parameter.name
            if "Tensor" in parameter.type and "vector" not in parameter.type:
                if not waiting:
                    raise not_understood(
                        f"{function.name} takes a tensor more than the program has", function.line
                    )
                arguments.append(waiting.pop(0))
            elif parameter.name in given and not isinstance(given[parameter.name], Broken):
                arguments.append(given[parameter.name])
            elif (default := defaults.get(named, parameter.default)) is not None:
                arguments.append(self._interpreter.evaluate(default, frame))
            else:
                raise not_understood(
                    f"{function.name} takes {parameter.name:.40}, which nothing gives,", function.line
                )
        return self._interpreter.call_host([function], arguments, unit, function.line)

    # --- results

    def _name_outputs(self, result: HostValue) -> None:
        """Give what is returned the names of the program's outputs; their shapes and dtypes must be those."""
        items = result.items if isinstance(result, Many) else (result,)
        outputs = self._shipped.outputs
        if len(items) != len(outputs):
            raise _other(f"{len(items)} outputs where the program has {len(outputs)}")
        named: set[int] = set()
        for item, output in zip(items, outputs, strict=True):
            if not isinstance(item, Tensor):
                raise _other(f"no tensor for {output.name}")
            if not item.storage.allocated or id(item.storage) in named:
                raise _other(f"for {output.name} a tensor that is an input, or another output")
            if item.storage.dtype != output.dtype:
                raise _other(f"{item.storage.dtype} for {output.name}, which is {output.dtype}")
            self._compare_shape(item, output)
            named.add(id(item.storage))
        for item, output in zip(items, outputs, strict=True):
            if isinstance(item, Tensor):
                item.storage.name = output.name

    def _compare_shape(self, item: Tensor, output: Declared) -> None:
        for instance in self._instances:
            shapes = {tensor.name: tensor.shape for tensor in _all(instance)}
            scope = Scope(instance.sizes, shapes)
            try:
                found = tuple(evaluate(extent, scope) for extent in item.shape)
            except ExpressionError as error:
                raise not_understood(f"a shape that has no value ({error})") from None
            wanted = _shape(instance, output.name)
            if found != wanted and not (set(found) <= {1} and set(wanted) <= {1}):
                raise _other(f"the shape {list(found)} for {output.name}, which has {list(wanted)}")


def _entry(unit: Unit) -> tuple[HostFunction, Binding | None]:
    """The function that Python calls: the bound one, or the last that takes tensors and is not called."""
    bound = {name: one for name, one in unit.bindings.items()}
    for name in ("forward", "fused_operator", *bound):
        if name in bound:
            target = bound[name].function
            if isinstance(target, HostFunction):
                return target, bound[name]
            if target in unit.functions:
                return unit.functions[target][-1], bound[name]
    taking = [
        one
        for functions in unit.functions.values()
        for one in functions
        if any("Tensor" in parameter.type for parameter in one.parameters)
    ]
    called = {
        token.text
        for one in taking
        for before, token in pairwise(one.body)
        if before.text not in (".", "->") and token.text != one.name
    }
    free = [one for one in taking if one.name not in called]
    if not free:
        raise NotTakenError(Reason.NO_KERNEL, "no host function takes tensors")
    return free[-1], None


def _method(function: Function) -> Function:
    """A function as a method."""
    return Function(
        function.line, function.name, (Parameter("auto", "self"), *function.parameters), function.body
    )


def _other(detail: str) -> NotTakenError:
    return NotTakenError(Reason.OTHER_RESULT, f"the answer returns {detail}")


def _all(instance: Instance) -> tuple[Declared, ...]:
    return (*instance.inputs, *instance.parameters, *instance.outputs)


def _shape(instance: Instance, name: str) -> tuple[int, ...]:
    return next((tensor.shape for tensor in _all(instance) if tensor.name == name), ())
