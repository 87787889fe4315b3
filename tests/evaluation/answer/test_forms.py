"""The forms in which models write an answer: read, or refused with a sentence that says the right one."""

import re

import pytest

from evaluation.candidate import Candidate, parse, parse_source
from evaluation.plan import BufferArgument, Plan, plan
from evaluation.problem import Instance, Tensor
from evaluation.verdict import Refusal, Status

INSTANCE = Instance(
    program="",
    sizes={"n": 1000, "rows": 25, "cols": 40},
    inputs=(Tensor(name="x", shape=(25, 40), dtype="float32"),),
    outputs=(Tensor(name="out", shape=(25, 40), dtype="float32"),),
)
KERNEL = 'extern "C" __global__ void k(const float* x, float* out, int n) { out[0] = x[0]; }\n'
LINE = "// launch k<<<ceil_div(n, 256), 256>>>(x, out, n)\n"
BUFFERS = (BufferArgument(buffer="x"), BufferArgument(buffer="out"))


def planned(source):
    candidate = parse_source(source)
    assert isinstance(candidate, Candidate), candidate
    result = plan(candidate, INSTANCE)
    assert isinstance(result, Plan), result
    return result.launches


def reason(source, status=Status.UNPARSABLE):
    found = parse_source(source)
    if isinstance(found, Candidate):
        found = plan(found, INSTANCE)
    assert isinstance(found, Refusal), found
    assert found.status is status
    assert "\n" not in found.reason
    return found.reason


@pytest.mark.parametrize(
    "comment",
    [
        "// launch k<<<4, 256>>>(x, out, n)",
        "//launch k<<<4, 256>>>(x, out, n)",
        "// Launch k<<<4, 256>>>(x, out, n)",
        "// LAUNCH: k<<<4, 256>>>(x, out, n)",
        "// launch: k<<<4, 256>>>(x, out, n);",
        "//launch:k<<<4,256>>>(x,out,n)",
        "// launch kernel k<<<4, 256>>>(x, out, n)",
        "// launch 1: k<<<4, 256>>>(x, out, n)",
        "// - launch k <<<4, 256>>> (x, out, n)",
        "// `launch k<<<4, 256>>>(x, out, n)`",
        "/// launch k<<<4, 256>>>(x, out, n)",
        "# launch k<<<4, 256>>>(x, out, n)",
        "#launch k<<<4, 256>>>(x, out, n)",
        "# launch: k<<<4, 256>>>(x, out, n)",
        "/* launch k<<<4, 256>>>(x, out, n) */",
        "/* Launch: k<<<4, 256>>>(x, out, n); */",
        "/*\n * launch k<<<4, 256>>>(x, out, n)\n */",
        "/**\n  launch k<<<4, 256>>>(x, out, n)\n**/",
        "/* Adds.\n   launch k<<<4, 256>>>(x,\n                        out, n)\n*/",
        "// launch k<<<4, 256>>>(x,\n//                     out,\n//   n)",
        "// launch k<<<4,\n//   256>>>(x, out, n)  // in blocks",
        "// launch k<<<4, 256>>>\n//   (x, out, n)",
        "// launch k<<<4, 256>>>(x, \\\nout, n)",
        "// launch k<<<4, 256>>>(x, out, n)  // one thread an element",
        "// launch k<<<4, 256>>>(x, out, n); // one thread an element",
        "// launch k<<<4, 256>>>(x, out, n) -- one thread an element",
        "// launch k<<<4, 256>>>(x, out, n) \u2014 one thread an element",
        "// launch k<<<4, 256>>>(x, out, n) (one thread an element)",
        "// launch k<<<4, 256>>>(x, out, n) # one thread an element",
        "// launch configuration: <<<grid, block>>>(x)\n// launch k<<<4, 256>>>(x, out, n)",
        "// launch configuration: k<<<grid, block>>>(x, out, n)\n// launch k<<<4, 256>>>(x, out, n)",
        "// launch with <<<grid, block>>>\n/* launch k<<<4, 256>>>(x, out, n) */",
        "// launch k<<<4, 256>>>(x, out, n)\n// Launch: k<<<grid, block>>>, one thread an element",
        "\ufeff// launch k<<<4, 256>>>(x, out, n)",
        "// launch k<<<4, 256>>>(x, out, n)\r",
    ],
)
def test_comments_that_launch(comment):
    (launch,) = planned(f"{comment}\n{KERNEL}")
    assert (launch.kernel, launch.grid, launch.block) == ("k", (4, 1, 1), (256, 1, 1))
    assert launch.arguments == (*BUFFERS, 1000)


@pytest.mark.parametrize(
    ("chevrons", "grid", "block", "shared"),
    [
        ("(n + 255) / 256, 256", 4, 256, 0),
        ("cdiv(n, 256), 256", 4, 256, 0),
        ("ceildiv(n, 256), 256", 4, 256, 0),
        ("CEIL_DIV(n, 256), 256", 4, 256, 0),
        ("div_up(n, 256), 256", 4, 256, 0),
        ("ceil_div(x.numel(), 256), 256", 4, 256, 0),
        ("x.size(0), 1 << 8, 256 * sizeof(float)", 25, 256, 1024),
        ("x.shape[0], 256u, 256 * sizeof(unsigned int)", 25, 256, 1024),
        ("x.sizes()[-2], 0x100, 1'024", 25, 256, 1024),
        ("x.size(-1), 256ULL, 4*256, 0", 40, 256, 1024),
        ("n >> 2, 256, 0, nullptr", 250, 256, 0),
        ("(n >> 2), (n + 31) & ~31", 250, 1024, 0),
        ("std::min(n, 65535), std::max(1, 256)", 1000, 256, 0),
        ("(int)rows, (unsigned int)256, (size_t)cols * sizeof(double)", 25, 256, 320),
        ("static_cast<int>(rows), int(256)", 25, 256, 0),
        ("dim3(rows), dim3{256}", 25, 256, 0),
        ("{25}, dim3(256, 1, 1)", 25, 256, 0),
        ("rows | 1, 3 ^ 2", 25, 1, 0),
    ],
)
def test_extents(chevrons, grid, block, shared):
    (launch,) = planned(f"// launch k<<<{chevrons}>>>(x, out, n)\n{KERNEL}")
    assert (launch.grid, launch.block, launch.shared_bytes) == ((grid, 1, 1), (block, 1, 1), shared)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("x.data_ptr<float>()", BUFFERS[0]),
        ("x.data_ptr()", BUFFERS[0]),
        ("(const float*)x", BUFFERS[0]),
        ("(float *) x.data_ptr()", BUFFERS[0]),
        ("reinterpret_cast<const float4*>(x)", BUFFERS[0]),
        ("x.numel()", 1000),
        ("(int)n", 1000),
        ("(int64_t)rows * cols", 1000),
        ("true", 1),
        ("1e-5f", 1e-5),
        ("-1.5", -1.5),
        ("(float)n", 1000.0),
        ("1.0f / n", 0.001),
        ("1.f / (rows * cols)", 0.001),
        ("1.0f / float(cols)", 0.025),
        ("static_cast<float>(rows) / cols", 0.625),
        ("1.0 / sqrtf((float)rows)", 0.2),
        ("rsqrtf(25.0f)", 0.2),
        ("min(0.5f, 1.0f / n)", 0.001),
    ],
)
def test_arguments(argument, value):
    (launch,) = planned(f"// launch k<<<4, 256>>>({argument})\n{KERNEL}")
    assert launch.arguments == (value,)
    assert type(launch.arguments[0]) is type(value)


@pytest.mark.parametrize(
    "line",
    [
        "scratch part float32[rows]", "Scratch: part float32[rows]", "scratch part: float32[x.size(0)]",
        "scratch float part[rows]", "scratch part float[rows]  // sums", "scratch buffer part float32[rows];",
    ],
)  # fmt: skip
def test_scratch(line):
    source = f"// {line}\n// launch k<<<4, 256>>>(part)\n{KERNEL}"
    candidate = parse_source(source)
    assert isinstance(candidate, Candidate), candidate
    buffer = plan(candidate, INSTANCE).buffers[-1]
    assert (buffer.tensor.name, buffer.tensor.dtype, buffer.tensor.shape) == ("part", "float32", (25,))


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("<float>", ("float",)),
        ("<float, 4>", ("float", "4")),
        ("<const unsigned int, BLOCK * 2, true>", ("unsigned int", "512", "true")),
        ("<__half, -1>", ("__half", "-1")),
    ],
)
def test_template_arguments(template, arguments):
    source = f"#define BLOCK 256\n// launch k{template}<<<4, 256>>>(x, out, n)\n{KERNEL}"
    candidate = parse_source(source)
    assert isinstance(candidate, Candidate), candidate
    assert candidate.launches[0].template == arguments


def test_constants_of_the_source():
    constants = (
        "#define TILE 16 // wide\nconstexpr int kBlock = TILE * 16;\nstatic const float kEps = 1e-5f;\n"
    )
    (launch,) = planned(f"{constants}// launch k<<<ceil_div(n, TILE), kBlock>>>(x, kEps, rows)\n{KERNEL}")
    assert (launch.grid[0], launch.block[0], launch.arguments[1:]) == (63, 256, (1e-5, 25))


@pytest.mark.parametrize(
    "definitions", ["#define B 1\n#define B 2\n", "#define B(x) x\n", "#define B threadIdx.x\n", ""]
)
def test_other_constants_have_no_value(definitions):
    found = reason(f"{definitions}// launch k<<<4, B>>>(x)\n{KERNEL}", Status.REJECTED)
    assert "unknown name 'B'" in found


def test_a_size_comes_before_a_constant():
    assert planned(f"#define n 5\n{LINE}{KERNEL}")[0].arguments[-1] == 1000


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("// launch configuration: k<<<4, 256>>>(x, out, n)", "the comment at line 1 is not of that form"),
        ("// k<<<4, 256>>>(x, out, n)", "add one such as `// launch kernel<<<grid, block"),
        ("// launch ns::k<<<4, 256>>>(x, out, n)", "add one such as"),
        ("// launch <<<4, 256>>>(x)", "add one such as"),
        ("// launch k(x, out, n)", "there is no launch line"),
        ("int a; // launch k<<<4, 256>>>(x)", "there is no launch line"),
        ("// launch k<<<4, 256>>>(x, out, n) k<<<4, 256>>>(x, out, n)", "each launch has a line of its own"),
        ("// launch k<<<4, 256>>>(x); k<<<4, 256>>>(x)", "each launch has a line of its own"),
        ("// launch k<<<4, 256>>>(x) // then k<<<4, 256>>>(out)", "each launch has a line of its own"),
        ("// launch k<<<4, 256>>>(x) twice", "a remark there begins with //"),
        ("// launch k<<<4, 256, 0, stream>>>(x)", "leave the stream away"),
        ("// launch k<<<4>>>(x)", "there must be 2 to 4 expressions between the chevrons, not 1"),
        ("// launch k<<<4, 256>>>(x", "the parentheses behind them are not closed"),
        ("// launch k<<<grid=4, block=256>>>(x)", "unexpected '='; there are + - * / %"),
        ("// launch k<<<n > 5 ? 1 : 2, 256>>>(x)", "unexpected '?'; there are"),
        ("// launch k<<<ceil(n / 256.0), 256>>>(x)", "ceil_div(a, b)"),
        ("// launch k<<<4, 256>>>(&x[0])", "a tensor is passed by its name alone"),
        ("// launch k<<<4, 256>>>(*x)", "a tensor is passed by its name alone"),
        ("// launch k<<<4, 256>>>(x.stride(0))", ".stride is unknown; there are"),
        ("// launch k<<<4, 256>>>(n.bits)", ".bits is unknown; there are"),
        ("// launch k<<<4, 256>>>(sizeof(foo))", "sizeof() of 1 is unknown; there are"),
        ("// launch k<<<4, 256>>>(ceil_div(n))", "ceil_div() of 1 is unknown; there are"),
        ("// launch k<<<4, 256>>>((half)n)", "is not a list of expressions; there are"),
        ("// launch k<<<4, 256>>>(n ** 2)", "is not understood; there are"),
        ("// launch k<<<010, 256>>>(x)", "010 is no decimal or hexadecimal number of C++"),
        ("// launch k<<<4, 256>>>(1.0f.x)", "1.0f.x is no decimal"),
        ("// launch k<<<4, 256>>>(x) + (n)", "unexpected '+' behind it"),
        ("// launch k<<<4, 256>>>(x)(n)", "unexpected '(n)' behind it"),
        ("// launch k<<<4, 256>>>(reinterpret_cast<float*>)", "is not a list of expressions"),
        ("// launch k<<<dim3(1, 2, 3, 4), 256>>>(x)", "dim3 has 1 to 3 extents, not 4"),
        ("// launch k<n><<<4, 256>>>(x)", "unknown name 'n'"),
        ("// launch k<<<4, 256>>>(x)\n/* launch j<<<4, 256>>>(x) */", "begin it with `// launch j`"),
        ("// scratch part[rows]\n// launch k<<<4, 256>>>(x)", "`// scratch name float32[extent]`"),
        (
            "// scratch part float33[rows]\n// launch k<<<4, 256>>>(x)",
            "unknown dtype float33; the dtypes are float64, float32",
        ),
    ],
)
def test_comments_that_do_not(comment, words):
    assert words in reason(f"{comment}\n{KERNEL}")


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("k<<<grid, block>>>(x)", Status.REJECTED, "variables of host code are unknown here"),
        ("k<<<4, 256>>>(nullptr)", Status.REJECTED, "unknown argument 'nullptr'; the names are: x, out, n"),
        ("k<<<4, 256>>>(x + 1)", Status.REJECTED, "x is a tensor where a number belongs"),
        ("k<<<4, 256>>>((float*)(x + 4))", Status.REJECTED, "x is a tensor where a number belongs"),
        ("k<<<4, 256>>>((int)x)", Status.REJECTED, "x is a tensor where a number belongs"),
        ("k<<<4, 256>>>(1.0f / (n - 1000))", Status.LAUNCH_ERROR, "division by zero"),
        ("k<<<4, 256>>>(sqrt(-1.0))", Status.LAUNCH_ERROR, "sqrt of -1.0 is no number"),
        ("k<<<n * 0.5, 256>>>(x)", Status.LAUNCH_ERROR, "is a fraction where an integer belongs"),
        (
            "k<<<(int)(n * 0.5), 256>>>(x)",
            Status.LAUNCH_ERROR,
            "int of 500.0 is no number; write whole numbers, and ceil_div(a, b)",
        ),
        ("k<<<1 << 63, 256>>>(x)", Status.LAUNCH_ERROR, "does not fit 64 bits"),
        ("k<<<1 << -1, 256>>>(x)", Status.LAUNCH_ERROR, "<< of 1, -1 is no number"),
        ("k<<<4, 256>>>(1e300 * 1e300)", Status.LAUNCH_ERROR, "too large"),
        ("k<<<4, 256>>>(1e999)", Status.LAUNCH_ERROR, "too large"),
        ("k<<<4, 256>>>(dim3(1, 2))", Status.LAUNCH_ERROR, "dim3 of 1, 2 is no number"),
    ],
)
def test_lines_that_cannot_be_planned(line, status, words):
    assert words in reason(f"// launch {line}\n{KERNEL}", status)


def fenced(info, source=LINE + KERNEL, fence="```"):
    return f"Here it is:\n\n{fence}{info}\n{source}{fence}\nDone."


@pytest.mark.parametrize(
    "response",
    [
        *map(fenced, ("cuda", "CUDA", "cu", "cpp", "c++", "C++", "cuda-c", "cuda-c++", "c", "", "C/C++")),
        fenced(" cuda title=k.cu"),
        fenced("{.cuda}"),
        fenced("cuda", fence="~~~"),
        fenced("cuda", fence="````"),
        "\ufeff" + fenced("cuda"),
        fenced("cuda").replace("\n", "\r\n"),
        fenced("cuda", "\ufeff" + LINE + KERNEL),
        re.sub("^", "    ", fenced("cuda"), flags=re.MULTILINE),
        fenced("cuda", "out[i] = x[i];\n") + fenced("cuda"),
        fenced("cpp", KERNEL) + fenced("cpp"),
        fenced("cuda") + fenced("cpp"),
        fenced("python", "k<<<1, 2>>>(x)\n") + fenced("cu") + fenced("text", LINE),
        fenced("cuda") + "\n```cuda\nout[i] =",
    ],
)
def test_blocks_that_are_found(response):
    candidate = parse(response)
    assert isinstance(candidate, Candidate), candidate
    assert [launch.kernel for launch in candidate.launches] == ["k"]
    assert "\r" not in candidate.source and "\ufeff" not in candidate.source
    assert isinstance(plan(candidate, INSTANCE), Plan)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (LINE + KERNEL, "no fenced ```cuda block"),
        (fenced("python"), "no fenced ```cuda block"),
        (fenced("", "some text\n"), "no fenced ```cuda block"),
        (fenced("cpp", "int main() {}\n"), "no fenced ```cuda block"),
        (fenced("cpp") + fenced("cpp"), "2 fenced ```cuda blocks"),
        (fenced("cuda") + fenced("cuda"), "2 fenced ```cuda blocks"),
        (fenced("cuda", KERNEL) + fenced("cuda", KERNEL), "2 fenced ```cuda blocks"),
        (fenced("cuda", KERNEL), "there is no launch line"),
        ("```cuda\n" + LINE + KERNEL, "not closed"),
        ("````cuda\n" + LINE + KERNEL + "```\n", "not closed"),
        ("~~~cuda\n" + LINE + KERNEL + "```\n", "not closed"),
        (fenced("cpp") + "\n```cuda\n" + LINE + KERNEL, "not closed"),
    ],
)
def test_blocks_that_are_not(response, words):
    result = parse(response)
    assert isinstance(result, Refusal) and result.status is Status.UNPARSABLE
    assert words in result.reason


DRAFT = fenced("cuda", LINE.replace("256", "128") + KERNEL)
ANSWER = fenced("cuda")


@pytest.mark.parametrize(
    "response",
    [
        f"<think>{DRAFT}</think>{ANSWER}",
        f"<think>\nHm.\n```cuda\nunclosed </think>\n{ANSWER}",
        f"Opened by the template. {DRAFT}</think>\n{ANSWER}",
        f"Opened by the template: ```cuda\nint a;\n</think>\n{ANSWER}",
        f"<think>a</think>{DRAFT}<think>b</think>{ANSWER}",
        f"<think>It ends with `</think>`. {DRAFT}</think>{ANSWER}",
        f"<think>One.</think>\nMy <think> part was short, and `</think>` ended it.\n{ANSWER}",
        f"<think>One.</think>\n{ANSWER}\nAs the <think> section says, the tail is guarded.",
        fenced("cuda", LINE + "// no <think> here, nor </think>\n" + KERNEL),
        f"<THINK>a</THINK>{ANSWER}",
        f"<thinking>\n{DRAFT}\n</thinking>\n{ANSWER}",
    ],
)
def test_the_answer_follows_the_last_thought(response):
    candidate = parse(response)
    assert isinstance(candidate, Candidate), candidate
    assert "ceil_div(n, 256)" in candidate.source


@pytest.mark.parametrize(
    "response",
    [
        f"<think>\n{DRAFT}\nHmm, wait.",
        f"\n <think>{DRAFT}",
        f"<think>first</think>\n{DRAFT}\n<think>but perhaps",
        f"<think>first</think>\n{DRAFT} So it is. <think>but perhaps",
        f"<think>first</think><think>{DRAFT}",
        f"<think>I close with `</think>`. {DRAFT}",
        f"<thinking>{DRAFT}",
    ],
)
def test_an_unfinished_thought_is_no_answer(response):
    result = parse(response)
    assert isinstance(result, Refusal) and result.status is Status.UNPARSABLE
    assert "ends inside a thought" in result.reason
