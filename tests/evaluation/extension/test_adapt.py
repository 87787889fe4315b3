"""`adapt` on its own: no text makes it raise or runs, and its arithmetic is that of the host code."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.candidate import Candidate, parse_source
from evaluation.expressions import Scope, evaluate
from evaluation.extension.adapt import adapt, is_extension, read_answer
from evaluation.extension.cpp_parser import Parser
from evaluation.extension.interpreter import Frame, Interpreter
from evaluation.extension.outcome import Adapted, Reason, Refused
from evaluation.extension.symbolic import Num
from evaluation.extension.tokens import tokens_of
from evaluation.extension.units import Unit
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor

ANSWERS = Path(__file__).parent / "answers"
TEXTS = [path.read_text() for path in sorted(ANSWERS.glob("*/*")) if path.name != "program.py"]
PROGRAM = """
import torch
rows = {rows}
cols = {cols}
def get_inputs():
    return [torch.randn(rows, cols)]
def fused_operator(x):
    return torch.relu(x)
"""
KERNEL = """
#include <torch/extension.h>
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = fmaxf(x[i], 0.f);
}
"""


def _instance(rows, cols):
    shape = (rows, cols)
    return Instance(
        program=PROGRAM.format(rows=rows, cols=cols),
        sizes={"rows": rows, "cols": cols},
        inputs=(Tensor(name="x", shape=shape, dtype="float32"),),
        outputs=(Tensor(name="out", shape=shape, dtype="float32"),),
    )


PROBLEM = Problem(
    id="relu", source="test", level=1, split=Split.TRAIN, dialect=Dialect.FUNCTION, operators=("relu",),
    shipped=_instance(256, 96), checks=(_instance(7, 5), _instance(12, 33)), tolerance=1e-4, flops=0, bytes=1,
)  # fmt: skip
PIECES = [
    *"(){}<>;,&*\"'",
    "<<<",
    ">>>",
    "::",
    "x",
    "-1",
    "1e999",
    "nullptr",
    "auto [",
    "#define A A(A)\n",
    "\\\n",
    "if (",
    "for (;;)",
    "while (1)",
    "switch (x) { case 1:",
    "template <",
    "/*",
    "\0",
    "\ud800",
    "x.size(-9)",
    "1 / 0",
    "1 << 9999",
    "99999999999999999999",
    "sizeof(void)",
    "self.x",
    "lambda: 0",
    "f'{x}'",
    "x.view({-1, -1})",
]


def edits():
    """Changes to a text: where, how much is dropped, what comes there, how often."""
    return st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 40),
            st.sampled_from(PIECES) | st.text(max_size=6),
            st.integers(1, 40),
        ),
        min_size=1,
        max_size=6,
    )


def require_outcome(text):
    taken = read_answer(text, PROBLEM)
    assert isinstance(taken, Adapted | Refused)
    if isinstance(taken, Refused):
        assert taken.detail
    else:
        parse_source(taken.text)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TEXTS), edits())
def test_no_mutation_of_an_answer_raises(text, changes):
    for place, dropped, piece, times in changes:
        at = int(place * len(text))
        text = text[:at] + piece * times + text[at + dropped :]
    require_outcome(text)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_no_text_raises(text):
    require_outcome(text)
    require_outcome(f"{KERNEL}torch::Tensor f(torch::Tensor x) {{ {text} }}")
    require_outcome(f"from torch.utils.cpp_extension import load_inline\nm = load_inline({text})")


@pytest.mark.parametrize(
    "opening", ["(", "[", "{", "x(", "x[", "-", "!", "(int)", "if(1)", "f<", "x?", "[&]{"]
)
def test_deep_nesting_is_refused(opening):
    taken = adapt(f"{KERNEL}torch::Tensor f(torch::Tensor x) {{ return {opening * 5000} }}", PROBLEM)
    assert isinstance(taken, Refused)


@pytest.mark.parametrize(
    "code",
    [
        "int n = x.size(0);" + "n = n + n;" * 200,
        "int n = x.size(0);" + "n = std::min(n, n + 1) > 3 ? n : 7;" * 200,
        "int n = 1;" + "for (int i = 0; i < 60; ++i) " * 6 + "n += i;",
        "x" + "<x" * 30_000 + ";",
        "struct " * 30_000,
        "return x" + ".view(x)" * 5000 + ";",
        "f(" * 5000,
    ],
    ids=lambda code: code[:12],
)
def test_hostile_code_costs_little(code):
    """In steps of the interpreter and tokens that are read, of which there are bounds."""
    taken = adapt(
        f"{KERNEL}torch::Tensor f(torch::Tensor x) {{ {code} return torch::empty({{n}}); }}", PROBLEM
    )
    assert isinstance(taken, Refused)


def test_a_fault_of_ours_is_a_refusal(monkeypatch):
    monkeypatch.setattr("evaluation.extension.adapt.read_answer", lambda text, problem: 1 // 0)
    taken = adapt("", PROBLEM)
    assert isinstance(taken, Refused)
    assert "ZeroDivisionError" in taken.detail


def test_nothing_of_an_answer_runs(tmp_path):
    mark = tmp_path / "mark"
    text = (
        f"import os\nfrom torch.utils.cpp_extension import load_inline\nopen({str(mark)!r}, 'w')\n"
        f"os.system('touch {mark}')\nm = load_inline(open({str(mark)!r}, 'w'))\n"
        f"class ModelNew:\n    def forward(self, x):\n        return open({str(mark)!r}, 'w')\n"
    )
    assert isinstance(adapt(text, PROBLEM), Refused)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("host", "reason", "words"),
    [
        ("return torch::relu(x);", Reason.LIBRARY, "torch::relu (line 7)"),
        ("return x;", Reason.OTHER_RESULT, "input"),
        ("return torch::empty({x.size(0)}, x.options());", Reason.OTHER_RESULT, "the shape [256]"),
        ("if (x.sum().item<float>() > 0) return x; return x;", Reason.LIBRARY, ".sum()"),
        ("float v = x.item<float>(); return x;", Reason.DATA_DEPENDENT, ".item()"),
        ("goto end; end: return x;", Reason.NOT_UNDERSTOOD, "the statement goto (line 7)"),
        ("return torch::empty_like(x);", Reason.NO_KERNEL, "launches no kernel"),
        ("auto y = torch::empty_like(x); q<<<1, 1>>>(y.data_ptr<float>()); return y;", Reason.NO_KERNEL, "q"),
        ("auto y = torch::empty_like(x); k<<<1, 1>>>(y.data_ptr<half>());", Reason.OTHER_RESULT, "half"),
        ("return helper(x);", Reason.NOT_UNDERSTOOD, "the function helper (line 7)"),
        ("return x.transpose(0, 1);", Reason.LIBRARY, ".transpose()"),
        ("return x + 1;", Reason.LIBRARY, "+ of tensors"),
    ],
)  # fmt: skip
def test_a_refusal_names_construct_and_line(host, reason, words):
    taken = adapt(f"{KERNEL}torch::Tensor f(torch::Tensor x) {{ {host} }}", PROBLEM)
    assert isinstance(taken, Refused), taken
    assert taken.reason is reason, taken
    assert words in taken.detail


def test_our_own_kernel_files_are_none():
    own = (
        "// launch k<<<1, 1>>>(x, out)\n// a torch::Tensor\n__global__ void k(const float* x, float* out) {}"
    )
    assert not is_extension(own)
    assert not is_extension(f"No at::Tensor here:\n```cuda\n{own}\n```\nPYBIND11_MODULE is gone.")
    assert not is_extension(f"The kernel:\n```cuda\n{own}\n```\nIts use:\n```python\n{PYTHON}\n```\n")
    assert is_extension(f"Its use:\n```python\n{PYTHON}\n```\nand `x` is\n```\na tensor\n```\n")


def test_a_response_in_prose_with_a_python_block():
    code = f"import torch\n{PYTHON}"
    taken = adapt(f"<think>maybe</think>Here it is:\n```python\n{code}\n```\nIt is fast.", PROBLEM)
    assert isinstance(taken, Adapted), taken
    parsed = parse_source(taken.text)
    assert isinstance(parsed, Candidate)
    assert [launch.kernel for launch in parsed.launches] == ["k"]


PYTHON = f"""
from torch.utils.cpp_extension import load_inline
m = load_inline(name="m", cpp_sources="", functions=["f"], cuda_sources=r'''{KERNEL}
torch::Tensor f(torch::Tensor x) {{
    auto y = torch::empty_like(x);
    k<<<4, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), x.numel());
    return y;
}}''')
class ModelNew(torch.nn.Module):
    def forward(self, x):
        return m.f(x)
"""

CUDA_MEMORY = """
torch::Tensor f(torch::Tensor x) {
    auto y = torch::empty_like(x);
    float* s;
    cudaMalloc(&s, 64 * sizeof(float));
    cudaMemset(s, 0, 16 * sizeof(float));
    cudaMemcpy(y.data_ptr<float>(), x.data_ptr<float>(), x.numel() * 4, cudaMemcpyDeviceToDevice);
    k<<<4, 64>>>(s, y.data_ptr<float>(), x.numel());
    return y;
}
"""


def test_memory_is_filled_and_copied_as_far_as_the_host_says():
    taken = adapt(KERNEL + CUDA_MEMORY, PROBLEM)
    assert isinstance(taken, Adapted), taken
    scratch, fill, copy, launch = taken.text.split("\n")[:4]
    assert scratch == "// scratch scratch0 float32[64]"
    assert fill.endswith("(scratch0, 16)")
    assert copy.endswith("(out, x, ((size(x, 0) * size(x, 1)) * 4) / 4)")
    assert launch.startswith("// launch k<<<4, 64>>>(scratch0, out,")


def test_types_of_python_are_told_apart():
    setup = "k = (2, 2) if isinstance(k, int) else k\n        self.k = k[0] if isinstance(k, tuple) else 0"
    text = PYTHON.replace(
        "class ModelNew(torch.nn.Module):\n",
        f"class ModelNew:\n    def __init__(self, k=3):\n        {setup}\n",
    )
    text = "import torch\n" + text.replace("m.f(x)", "m.f(x, self.k)").replace(
        "f(torch::Tensor x)", "f(torch::Tensor x, int g)"
    )
    taken = adapt(text.replace("k<<<4,", "k<<<g,"), PROBLEM)
    assert isinstance(taken, Adapted), taken
    assert taken.text.startswith("// launch k<<<2, 64>>>")


#: Host code that makes `r` of `n`, and the same in Python.
ARITHMETIC = {
    "int r = (n + 255) / 256;": lambda n: (n + 255) // 256,
    "int r = n > 100 ? 7 : n;": lambda n: 7 if n > 100 else n,
    "int r = std::min<int>(n, 1024) * 3 % 7;": lambda n: min(n, 1024) * 3 % 7,
    "int r = 1; while (r < n) r *= 2;": lambda n: 1 << (n - 1).bit_length(),
    "int r = 1; while (r < n && r < 1024) { r <<= 1; }": lambda n: min(1 << (n - 1).bit_length(), 1024),
    "int r = 1024; while (r > n) r /= 2;": lambda n: min(1024, 1 << (n.bit_length() - 1)),
    "int r = 0; for (int i = 0; i < 5; ++i) r += n * i;": lambda n: 10 * n,
    "int r; if (n <= 32) r = 32; else if (n <= 64) r = 64; else r = 128;": lambda n: (
        32 if n <= 32 else 64 if n <= 64 else 128
    ),
    "int r = 5; if (n % 4 == 0) { r = n / 4; r += 1; }": lambda n: n // 4 + 1 if n % 4 == 0 else 5,
    "int r = n != 3 && !(n >= 50 || n == 7);": lambda n: int(n != 3 and not (n >= 50 or n == 7)),
    "int r = 3; switch (n / 100) { case 0: r = 1; break; case 1: case 2: r = 2; break; }": lambda n: (
        1 if n < 100 else 2 if n < 300 else 3
    ),
    "int r = static_cast<int>(std::ceil(n / 32.0f));": lambda n: -(-n // 32),
    "int r = (int)(sizeof(float) * n) - -2 + (~n & 1);": lambda n: 4 * n + 2 + (~n & 1),
    "auto f = [](int a, int b) { return a > b ? a - b : 0; }; int r = f(n, 40);": lambda n: max(n - 40, 0),
}


@pytest.mark.parametrize("code", ARITHMETIC)
@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 3000))
def test_host_arithmetic_is_the_host_s(code, n):
    interpreter, x = Interpreter(), parse_source("// launch k<<<size(x, 0), 1>>>(x)")
    assert isinstance(x, Candidate)

    frame = Frame(Unit(), {"n": Num(x.launches[0].grid[0])})
    interpreter.execute(Parser(tokens_of(code)).statements(), frame)
    result = frame.names["r"]
    assert isinstance(result, Num)
    assert evaluate(result.expression, Scope({}, {"x": (n,)})) == ARITHMETIC[code](n)
