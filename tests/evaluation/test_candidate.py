"""Reading a response: what parses, what does not and why, and that nothing raises."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.candidate import Candidate, parse, parse_source
from evaluation.expressions import Number, Size
from evaluation.plan import Plan, plan
from evaluation.verdict import Refusal, Status
from tests.evaluation.answer.test_forms import INSTANCE
from tests.evaluation.hostile_responses import RESPONSES

KERNEL = 'extern "C" __global__ void k(const float* x, float* out, int n) { out[0] = x[0]; }\n'
SOURCE = "// launch k<<<ceil_div(n, 256), 256>>>(x, out, n)\n" + KERNEL


def fenced(source):
    return f"Here it is:\n\n```cuda\n{source}```\nDone."


def refused(text, status=Status.UNPARSABLE):
    result = parse(text)
    assert isinstance(result, Refusal), result
    assert result.status is status
    assert "\n" not in result.reason
    return result.reason


def test_a_response_parses():
    candidate = parse(fenced(SOURCE))
    assert isinstance(candidate, Candidate)
    assert candidate.source == SOURCE
    assert [launch.kernel for launch in candidate.launches] == ["k"]
    assert candidate.launches[0].arguments == (Size("x"), Size("out"), Size("n"))
    assert pickle.loads(pickle.dumps(candidate)) == candidate


def test_the_contract_page_example_parses():
    source = """\
// scratch partial float32[rows]
// launch row_sum<<<rows, 256, 256 * 4>>>(x, partial, rows, cols)
// launch finish<<<dim3(1, 1), 256>>>(partial, out, rows, -1e-5f);
extern "C" __global__ void row_sum(const float* x, float* partial, int rows, int cols) { }
extern "C" __global__ void __launch_bounds__(256) finish(const float* p, float* out, int rows, float e) { }
"""
    candidate = parse(fenced(source))
    assert isinstance(candidate, Candidate)
    assert [launch.kernel for launch in candidate.launches] == ["row_sum", "finish"]
    assert candidate.scratch[0].dtype == "float32"
    assert candidate.launches[1].grid == (Number(1), Number(1))
    assert candidate.launches[1].arguments[-1] == Number(-1e-5)


def test_thinking_before_the_answer_is_ignored():
    assert isinstance(parse(f"<think>{fenced('draft')}</think>{fenced(SOURCE)}"), Candidate)


def test_other_languages_and_other_comments_do_not_count():
    response = fenced("// launch the kernel once per row\n// scratch space is not needed\n" + SOURCE)
    assert isinstance(parse("```python\nimport torch\n```\n" + response), Candidate)


def test_windows_line_ends():
    assert isinstance(parse(fenced(SOURCE).replace("\n", "\r\n")), Candidate)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no fenced"),
        (SOURCE, "no fenced"),
        (fenced(SOURCE) + fenced(SOURCE), "2 fenced"),
        ("```cuda\n" + SOURCE, "not closed"),
        (fenced(KERNEL), "no launch line"),
        (fenced("// launch k<<<1>>>(x)\n" + KERNEL), "2 to 4 expressions between the chevrons"),
        (fenced("// launch k<<<1, 2, 3, 0, 5>>>(x)\n" + KERNEL), "between the chevrons, not 5"),
        (fenced("// launch k<<<1, 2>>>(x\n" + KERNEL), "parentheses behind them are not closed"),
        (fenced("// launch k<<<1, 2>>>(x) twice\n" + KERNEL), "unexpected 'twice'"),
        (fenced("// launch k<foo><<<1, 2>>>(x)\n" + KERNEL), "line 1"),
        (fenced("// launch k<<<dim3(1, 2, 3, 4), 2>>>(x)\n" + KERNEL), "dim3 has 1 to 3 extents"),
        (fenced("// launch k<<<1, 2>>>(&x)\n" + KERNEL), "a tensor is passed by its name"),
        (fenced("// launch k<<<1, 2>>>()\n" * 17 + KERNEL), "more than 16 launch lines"),
        (fenced("// scratch s float33[n]\n" + SOURCE), "unknown dtype"),
        (fenced("// scratch s float32[]\n" + SOURCE), "line 1"),
        (fenced(SOURCE + "\0\n"), "NUL"),
        (fenced(SOURCE + "\ud800\n"), "Unicode"),
        (fenced(SOURCE + "/" * 70_000 + "\n"), "at most 65536"),
    ],
)
def test_refusals_name_the_reason(text, words):
    assert words in refused(text)


def test_an_extern_c_block_defines_kernels():
    source = '// launch k<<<1, 2>>>(x)\nextern "C" {\n__global__ void k(float* x) {}\n}\n'
    assert isinstance(parse_source(source), Candidate)


@pytest.mark.parametrize("response", RESPONSES, ids=range(len(RESPONSES)))
def test_hostile_responses_are_read_or_refused(response):
    found = parse(response)
    if isinstance(found, Candidate):
        assert pickle.loads(pickle.dumps(found)) == found
        found = plan(found, INSTANCE)
    assert isinstance(found, Plan | Refusal)
    if isinstance(found, Refusal):
        assert 0 < len(found.reason) < 700 and "\n" not in found.reason


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    assert isinstance(parse(text), Candidate | Refusal)
    assert isinstance(parse_source(text), Candidate | Refusal)


@given(
    st.text(alphabet="kxn0123456789<>()[],+-*/%.e; dimfloat\t\\\"'{}&|~^:_sizumpa\n#"),
    st.sampled_from(["launch k<<<", "scratch s["]),
)
def test_any_line_is_parsed_or_refused(rest, start):
    assert isinstance(parse(fenced(f"// {start}{rest}\n{SOURCE}")), Candidate | Refusal)
