"""Replies of a worker in which a program has written what it likes: always one refusal of the program."""

import json

import pytest

from evaluation.problem import Instance, Tensor
from evaluation.programs.program import problem_from_program
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.pool import ProgramError, _require_clean_exit

GOOD = {"name": "x", "shape": [4], "dtype": "float32"}
SHAPES = {"inputs": [GOOD], "parameters": [], "outputs": [{**GOOD, "name": "out"}], "flops": 8}
FLAGS = {"finite": True, "constant": False, "copies_input": False, "zero": False}
DESCRIBED = {**{name: SHAPES[name] for name in ("inputs", "parameters", "outputs")}, **FLAGS}

PROGRAM = """
import os, torch
n = 4
def get_inputs():
    text = {text!r}.encode()
    reply = len(text).to_bytes(8, "little") + text + bytes({blob})
    while reply:
        reply = reply[os.write(3, reply):]
    os._exit(0)
def fused_operator(x):
    return x * 2
"""
DYING = """
import ctypes, os, torch
n = 4
def get_inputs():
    {statement}
def fused_operator(x):
    return x * 2
"""


def forged(value, count=1, sizes=()):
    text = json.dumps({"results": [{"value": value}] * count, "sizes": list(sizes)})
    return PROGRAM.format(text=text, blob=sum(sizes))


@pytest.mark.parametrize(
    "value",
    [
        {**SHAPES, "flops": -1},
        {**SHAPES, "flops": 1e400},
        {**SHAPES, "flops": "many"},
        {**SHAPES, "flops": 10**400},
        {**SHAPES, "inputs": [{**GOOD, "shape": [10**400]}]},
        {**SHAPES, "inputs": [{**GOOD, "shape": [1 << 40] * 26}]},
        {**SHAPES, "inputs": [{**GOOD, "shape": [-4]}]},
        {**SHAPES, "inputs": [{**GOOD, "name": "größe"}]},
        {**SHAPES, "inputs": "x"},
        {**SHAPES, "inputs": [["x", 4]]},
        {**SHAPES, "outputs": None},
        {**SHAPES, "more": 1},
        [],
        None,
        {},
        "text",
    ],
)
def test_a_forged_survey_is_refused(reference, value):
    (found,) = reference.survey([forged(value)])
    assert isinstance(found, ProgramError) and "\n" not in str(found)
    with pytest.raises(ProgramError):
        problem_from_program(forged(value), id="p", source="test", reference=reference)


@pytest.mark.parametrize(
    "change",
    [{"finite": "?"}, {"inputs": {}}, {"outputs": [3]}, {"parameters": [{**GOOD, "dtype": "float4"}]}],
)
def test_a_forged_description_is_refused(reference, change):
    with pytest.raises(ProgramError):
        reference.describe(forged({**DESCRIBED, **change}))


@pytest.mark.parametrize(
    ("value", "sizes"),
    [
        ({"tensors": ["a"]}, []),
        ({"tensors": [{"group": "inputs", **GOOD}]}, [16]),
        ({"tensors": 3}, []),
        ({"tensors": [{}]}, [16]),
        ([], []),
        ({}, [16, 16]),
    ],
)
def test_a_forged_trial_is_refused(reference, value, sizes):
    tensor = Tensor.model_validate(GOOD)
    instance = Instance(program=forged(value, sizes=sizes), sizes={}, inputs=(tensor,), outputs=(tensor,))
    with pytest.raises(ProgramError):
        reference.trial(instance, Draw(Kind.OWN, 0))
    with pytest.raises(ProgramError):
        reference.ignoring(instance, Draw(Kind.OWN, 0), Draw(Kind.OWN, 2))


def test_a_reply_that_would_fill_the_memory_is_not_read(reference):
    text = '{"results": [' + "{}," * 700_000 + '{}], "sizes": []}'
    with pytest.raises(ProgramError, match="too long"):
        reference.describe(PROGRAM.replace("{text!r}", f"({text[:13]!r} + '{{}},' * 700000 + {text[-16:]!r})")
                           .replace("{blob}", "0"))  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"results": 3, "sizes": []}', '{"results": [], "sizes": []}', "[" * 5000, "9" * 5000],
)
def test_a_frame_that_is_no_reply_is_refused(reference, text):
    with pytest.raises(ProgramError):
        reference.describe(PROGRAM.format(text=text, blob=0))


@pytest.mark.parametrize("statement", ["os._exit(40)", "ctypes.string_at(0)"])
def test_however_the_process_ends_it_is_the_programs_error(reference, statement):
    with pytest.raises(ProgramError, match="ended its process"):
        reference.describe(DYING.format(statement=statement))


def test_a_signal_without_a_name_has_a_number():
    with pytest.raises(ProgramError, match="ended its process"):
        _require_clean_exit(40, cpu_seconds=20)  # the wait status of a death by signal 40
