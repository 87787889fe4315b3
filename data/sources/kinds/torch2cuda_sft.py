"""torch2cuda's supervised rows: a program, its inputs, and an answer in CUDA that may be wrong."""

from dataclasses import replace

from data.sources.fields import program_of
from data.sources.kind import Kind, Options
from data.sources.rows import Program, Reason, Row, RowError

ANSWER = ("cuda_code", "is_pytorch_cuda_same", "compiler_error_msg")


def item(row: Row, _options: Options) -> Program:
    """The row's program, with its inputs behind it where they are a text of their own.

    A label that says the answer is right, beside a compiler's error, contradicts itself.
    """
    program = program_of(row, ("pytorch_code",), ("difficulty", "level"))
    inputs = row.fields.get("pytorch_inputs")
    if isinstance(inputs, str) and "get_inputs" not in program.text:
        program = replace(program, text=f"{program.text}\n\n{inputs}\n")
    answer = {name: row.fields.get(name) for name in ANSWER}
    if answer["is_pytorch_cuda_same"] is True and str(answer["compiler_error_msg"] or "").strip():
        raise RowError(
            Reason.CONTRADICTION, "the row calls its answer right and has a compiler's error for it"
        )
    return replace(program, metadata={"answer": answer})


KIND = Kind(
    "torch2cuda-sft",
    "`pytorch_code`, `pytorch_inputs`, `cuda_code`, `is_pytorch_cuda_same`, `compiler_error_msg`",
    item,
)
