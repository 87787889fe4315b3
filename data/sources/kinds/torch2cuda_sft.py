"""torch2cuda's supervised rows: a program, its inputs, and an answer in CUDA that may be wrong."""

from dataclasses import replace

from data.sources.fields import program_of
from data.sources.kind import Kind, Options
from data.sources.rows import ANSWER, Program, Row
from evaluation.problem import Split

_COLUMNS = ("cuda_code", "is_pytorch_cuda_same", "compiler_error_msg")


def item(row: Row, _options: Options) -> Program:
    """The row's program, with its inputs behind it where they are a text of their own, and its answer."""
    program = program_of(row, ("pytorch_code",), ("difficulty", "level"))
    inputs = row.fields.get("pytorch_inputs")
    if isinstance(inputs, str) and "get_inputs" not in program.text:
        program = replace(program, text=f"{program.text}\n\n{inputs}\n")
    return replace(program, metadata={ANSWER: {name: row.fields.get(name) for name in _COLUMNS}})


KIND = Kind(
    "torch2cuda-sft",
    "`pytorch_code`, `pytorch_inputs`, `cuda_code`, ...: rows whose answer is judged correct",
    item,
    split=Split.TRAIN,
    answers=True,
)
