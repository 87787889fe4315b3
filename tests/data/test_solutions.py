"""Kernels that `solutions` writes: judged by the real evaluator, in every style and family."""

import random
from collections import Counter

import pytest

from data.chain import Layout, Step, chain, role
from data.generator import generate, single_operator_graphs
from data.kernels.writing import styles, write
from data.operators.registry import OPERATORS
from data.rendering import problem
from data.settings import Counts, KernelStyle
from data.solutions import Solution, respond, verify, write_solutions
from evaluation.check import SizeSet
from evaluation.pool import EvaluationPool, Request
from evaluation.problem import Split
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Measurements, Status, Verdict
from tests.data.toy import toy

SETTINGS = toy(
    train=Counts(level2=20, level3=20),
    validation=Counts(level2=0, level3=1),
    heldout=Counts(level2=0, level3=1),
)
CORRECT = Verdict(
    status=Status.CORRECT, reason="equal", measurements=Measurements(instances=2, max_error=0.1)
)
WRONG = Verdict(status=Status.WRONG, reason="out[3] is 1, expected 2")


def _graph(layout, *steps):
    return chain([Step(OPERATORS[name], *operand) for name, *operand in steps], layout)


#: Every kind of chain: all its operators alone, and steps before and after each core.
GRAPHS = [graph for one in OPERATORS.values() if role(one) for graph in single_operator_graphs(one)[:3:2]] + [
    _graph(Layout.VECTOR, ("sub", "y", True), ("gelu",), ("mul", "x")),
    _graph(Layout.BROADCAST, ("elu",), ("minimum", "y"), ("cos",)),
    _graph(Layout.BROADCAST, ("mul", "y"), ("mean",)),
    _graph(Layout.MATRIX, ("square",), ("add", "y"), ("amax",)),
    _graph(Layout.MATRIX, ("square",), ("softmax",), ("sin",)),
    _graph(Layout.MATRIX, ("exp",), ("layer_norm",), ("relu",)),
    _graph(Layout.MATRIX, ("abs",), ("cumsum",), ("silu",)),
    _graph(Layout.MATRIX, ("tanh",), ("transpose",), ("neg",)),
    _graph(Layout.MATMUL, ("relu",), ("matmul",), ("sigmoid",)),
]


@pytest.fixture(scope="module")
def pool(confined):
    with EvaluationPool(EvaluationSettings(workers=2), confined) as pool:
        yield pool


@pytest.fixture(scope="module")
def trained():
    return [item for item in generate(SETTINGS, "night").problems if item.problem.split is Split.TRAIN]


class Scripted:
    """An evaluator that finds every kernel of a style wrong."""

    def __init__(self, wrong):
        self.wrong = wrong
        self.calls = []

    def evaluate(self, requests, *, seed, sizes, progress=None):
        self.calls.append((sizes, len(requests)))
        if progress:
            progress(len(requests), len(requests))
        return [WRONG if self.wrong in request.response else CORRECT for request in requests]


@pytest.mark.slow
def test_every_style_of_every_family_is_correct_where_it_claims_to_be(pool):
    solutions = [
        Solution(problem(graph, Split.TRAIN, SETTINGS.tolerance), style, respond(write(graph, style)))
        for graph in GRAPHS
        for style in styles(graph)
    ]
    correct, failures = verify(solutions, pool, seed=3)
    assert [(item.solution.problem.operators, item.solution.style, item.verdict) for item in failures] == []
    chained = set(KernelStyle) - {KernelStyle.REGISTERS, KernelStyle.ONLINE, KernelStyle.MMA}
    assert {solution.style for solution in correct} >= chained


@pytest.mark.slow
def test_unguarded_kernels_fail_at_ragged_sizes(pool):
    graphs = [
        _graph(Layout.VECTOR, ("relu",)),
        _graph(Layout.MATRIX, ("sum",)),
        _graph(Layout.MATMUL, ("matmul",)),
    ]
    requests = [
        Request(problem(graph, Split.TRAIN, 1e-3), respond(write(graph, KernelStyle.UNGUARDED)))
        for graph in graphs
    ]
    assert not any(verdict.correct for verdict in pool.evaluate(requests, seed=0, sizes=SizeSet.CHECKS))
    assert all(verdict.correct for verdict in pool.evaluate(requests, seed=0, sizes=SizeSet.ALIGNED))


def test_a_common_kernel_is_short_and_exactly_this():
    source = write(_graph(Layout.VECTOR, ("relu",), ("add", "y")), KernelStyle.PER_OUTPUT)
    assert source == (
        "// launch f<<<ceil_div(n,256),256>>>(x, y, out, n)\n"
        'extern "C" __global__ void f(const float* x, const float* y, float* out, int n) {\n'
        "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
        "  if (i >= n) return;\n"
        "  float u = x[i];\n"
        "  float w = y[i];\n"
        "  float a = fmaxf(u, 0.f);\n"
        "  float b = a + w;\n"
        "  out[i] = b;\n"
        "}\n"
    )
    assert respond(source) == f"```cuda\n{source}```"


def test_a_style_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="no shuffle kernel"):
        write(_graph(Layout.VECTOR, ("relu",)), KernelStyle.SHUFFLE)
    with pytest.raises(ValueError, match="no vectorized kernel"):
        write(_graph(Layout.BROADCAST, ("add", "y")), KernelStyle.VECTORIZED)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_the_unguarded_share_is_met_exactly(trained, share):
    settings = SETTINGS.model_copy(update={"unguarded_share": share, "sft_rows": 80})
    solutions = write_solutions(trained, settings, random.Random(0))
    styles_found = Counter(solution.style for solution in solutions)
    assert len(solutions) == 80
    assert styles_found[KernelStyle.UNGUARDED] == 80 * share


def test_kernels_of_one_problem_differ_and_every_single_operator_is_taught(trained):
    solutions = write_solutions(trained, SETTINGS, random.Random(0))
    assert len({(solution.problem.id, solution.style) for solution in solutions}) == len(solutions)
    taught = {solution.problem.operators for solution in solutions if solution.problem.level == 1}
    assert taught == {(name,) for name in SETTINGS.operators}


def test_style_weights_are_followed(trained):
    weights = {KernelStyle.PER_OUTPUT: 1e-9, KernelStyle.VECTORIZED: 1.0, KernelStyle.SHARED: 1.0}
    settings = SETTINGS.model_copy(
        update={"style_weights": weights, "unguarded_share": 0.0, "kernels_per_problem": 1}
    )
    graphs = {item.problem.id: item.graph for item in trained}
    for solution in write_solutions(trained, settings, random.Random(0)):
        wanted = {KernelStyle.VECTORIZED, KernelStyle.SHARED} & set(styles(graphs[solution.problem.id]))
        assert solution.style in (wanted or {KernelStyle.PER_OUTPUT})


def test_failures_are_set_apart_with_their_verdicts(trained):
    solutions = write_solutions(trained[:10], SETTINGS, random.Random(0))
    evaluator, seen = Scripted("if (i >= "), []
    correct, failures = verify(solutions, evaluator, 0, lambda done, total: seen.append((done, total)))
    assert len(correct) + len(failures) == len(solutions)
    assert failures and all(failure.verdict is WRONG for failure in failures)
    assert not any("if (i >= " in solution.response for solution in correct)
    assert [sizes for sizes, _ in evaluator.calls] == [SizeSet.ALIGNED, SizeSet.CHECKS]
    assert seen[-1] == (len(solutions), len(solutions))


def test_solutions_are_deterministic(trained):
    first, second = (write_solutions(trained, SETTINGS, random.Random(5)) for _ in range(2))
    assert first == second
