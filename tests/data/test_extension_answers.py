"""Rows of torch2cuda's supervised set: taken over, judged, or refused with the reason."""

import pytest

from data.extension_answers import Answer, take_answers
from evaluation.extension.outcome import Reason, Refused
from evaluation.pool import EvaluationPool, Request
from evaluation.programs.program import problem_from_program
from evaluation.settings import EvaluationSettings

PROGRAM = """
import torch

def get_inputs():
    return [torch.randn([96, 40])]

def fused_operator(tensor_0):
    return [torch.square(tensor_0)]
"""
CODE = """
#include <torch/extension.h>
__global__ void square(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * x[i];
}
torch::Tensor fused_operator(torch::Tensor x) {
    auto y = torch::empty_like(x);
    square<<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), x.numel());
    return y;
}
"""


def row(code, same=True, error=None):
    return {"cuda_code": code, "is_pytorch_cuda_same": same, "compiler_error_msg": error}


@pytest.fixture(scope="module")
def problem(confined):
    return problem_from_program(PROGRAM, id="square", source="rows", reference=confined)


def test_only_what_is_correct_stays(problem, confined):
    rows = [
        row(CODE),
        row(f"// the same again\n{CODE}"),
        row(CODE.replace("x[i] * x[i]", "x[i] + x[i]")),
        row(CODE, error="error: identifier undefined"),
        row(CODE.replace("return y;", "return torch::square(x);")),
        row(CODE.replace("x[i] * x[i]", "x[i] * x[i] + 0.0f"), same=False, error="a warning"),
        row(None),
        {},
    ]
    answers = [Answer.of(problem, fields) for fields in rows]
    with EvaluationPool(EvaluationSettings(workers=1), confined) as pool:
        found = take_answers(answers, pool, seed=0)
    assert [one.reason if isinstance(one, Refused) else "taken" for one in found] == [
        "taken",
        Reason.DUPLICATE,
        Reason.NOT_CORRECT,
        Reason.CONTRADICTS,
        Reason.LIBRARY,
        "taken",
        Reason.NO_KERNEL,
        Reason.NO_KERNEL,
    ]
    first = found[0]
    assert isinstance(first, Request)
    assert "// launch square<<<" in first.response
    assert "torch/extension.h" not in first.response
    assert "identifier undefined" in str(found[3])
