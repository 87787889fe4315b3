"""The static rules let honest CUDA through, name what they refuse, and never raise."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.backends.simt import rules
from evaluation.verdict import Status
from tests.benchmarks.simt_mix import KERNELS

HONEST = 'extern "C" __global__ void k(float* o) { o[threadIdx.x] = 1.0f; }\n'


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.cu")), ids=lambda path: path.stem)
def test_kernels_of_the_mix_pass(path):
    assert rules.refuse(path.read_text()) is None


@pytest.mark.parametrize(
    "text",
    [
        "// asm system __attribute__ #include <vector>\n",
        "/* asm\n#pragma GCC optimize */",
        '__device__ const char* t = "asm volatile // system";',
        "int x = 1'000'000; // don't\n",
        "#ifndef M_PI\n#define M_PI 3.14\n#endif\n#ifdef DEBUG\n#endif\n#if defined(FAST) && N > 4\n#endif\n",
        "#if __CUDA_ARCH__ >= 800 && defined(__CUDACC__)\n#endif\n#ifndef TILE\n#define TILE 16\n#endif\n",
        "__device__ float f(float* a) { if (a[1] > 0) return a[0]; else a[0] = 1; return (float)a[0]; }",
        "#define TILE 16\n#pragma unroll 4\n#if TILE > 8\n#endif\n",
        "#include <cuda_runtime.h>\n#include <cuda_fp16.h>\n# include <cmath>\n",
        "template <typename T> __device__ T twice(T x) { return x + x; }",
        "float assembly, transform, system_size, newton, tryout;",
        "#define MAX(a, b) \\\n    ((a) > (b) ? (a) : (b))\n",
        "int y = __builtin_expect(1, 1);",
        "float c00, c01, c10, c11; int half, free, module, system, cub;",
        "#include <cstring>\n/* c */ #include <math.h>\n",
        '// R"( ??= \n',
        "#ifndef _TILE_H\n#define _TILE_H\n#endif\n#if __CUDA_ARCH__ >= 900 && !defined(FAST)\n#endif\n",
        "é in a comment: // é\n"[14:],
    ],
)
def test_honest_text_passes(text):
    assert rules.refuse(text + HONEST) is None


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ('asm("");', Status.UNSUPPORTED, "inline PTX"),
        ("a\\\nsm();", Status.UNSUPPORTED, "inline PTX"),
        ("a\\ \t\nsm();", Status.UNSUPPORTED, "inline PTX"),
        ("a??/\nsm();", Status.REJECTED, "trigraphs"),
        ('/* " */ asm("");', Status.UNSUPPORTED, "inline PTX"),
        ('const char* s = "\\"; // "; asm("x");', Status.UNSUPPORTED, "inline PTX"),
        ('char c = \'"\'; asm("x");', Status.UNSUPPORTED, "inline PTX"),
        ("int x = 1'0; asm(); int y = 1'0;", Status.UNSUPPORTED, "inline PTX"),
        ('const char* s = R"(" asm)";', Status.REJECTED, "raw string"),
        ("int \\u0061sm;", Status.REJECTED, "ASCII"),
        ("int ａsm;", Status.REJECTED, "ASCII"),
        ("#include <cuda_fp8.h>\n", Status.UNSUPPORTED, "cuda_fp8.h"),
        ("nvcuda::wmma::experimental::bmmaBitOp op;", Status.UNSUPPORTED, "experimental"),
        ("#include <cub/cub.cuh>\n", Status.UNSUPPORTED, "cub"),
        ('#include "/etc/passwd"\n', Status.REJECTED, "/etc/passwd"),
        ("#include_next <math.h>\n", Status.REJECTED, "include_next"),
        ("%:include <vector>\n", Status.REJECTED, "vector"),
        ("/**/#include <vector>\n", Status.REJECTED, "vector"),
        ("#line 7\n", Status.REJECTED, "line"),
        ("#pragma omp parallel\n", Status.REJECTED, "omp"),
        ("#define threadIdx other\n", Status.REJECTED, "threadIdx"),
        ("#define __shared__\n", Status.REJECTED, "__shared__"),
        ("#define while if\n", Status.REJECTED, "while"),
        ("int simt_x;", Status.REJECTED, "checker"),
        ("int z = __builtin_trap();", Status.REJECTED, "extensions"),
        ("float* p = new float;", Status.REJECTED, "heap"),
        ("#if 0\n' /*\n#endif\nasm();", Status.REJECTED, "not closed"),
        ("/* and so on", Status.REJECTED, "not closed"),
        ('const char* s = R\\\n"x( " /* )x";', Status.REJECTED, "raw string"),
        ("#ifdef __k8__\n#endif", Status.REJECTED, "__k8__"),
        ("#if !defined(threadIdx)\n#endif", Status.REJECTED, "threadIdx"),
        ("#if 0\n#elif _LP64\n#endif", Status.REJECTED, "_LP64"),
        ("using namespace cub;", Status.UNSUPPORTED, "cub"),
        ("torch::Tensor t;", Status.REJECTED, "torch"),
        ('int s = system("ls");', Status.REJECTED, "system"),
        ("k<<<1, 2>>>();", Status.REJECTED, "launch lines"),
        ("cudaMalloc(0, 0);", Status.REJECTED, "host code"),
        ("using cuda::barrier;", Status.UNSUPPORTED, "cuda::"),
        ("\x00", Status.REJECTED, "control"),
        ("int a;\rint b;", Status.REJECTED, "control"),
        ("x" * 70_000, Status.REJECTED, "characters"),
    ],
)
def test_is_refused(text, status, words):
    refusal = rules.refuse(text + "\n" + HONEST)
    assert refusal is not None
    assert (refusal.status, words in refusal.reason) == (status, True), refusal.reason


@given(st.text(max_size=300))
def test_never_raises(text):
    rules.refuse(text)


WORDS = ["asm", "//", "/*", "*/", '"', "'", "\\", "\n", " ", "R", "(", ")", "1", "#define x ", "e", "L"]


@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_a_word_is_hidden_only_where_the_compiler_hides_it(parts):
    """Against an independent scanner, one character at a time, of comments and literals."""
    text = "".join(parts)
    refusal = rules.refuse(text)
    if "asm" in visible_words(text):
        assert refusal is not None


def visible_words(text: str) -> set[str]:
    text = re.sub(r"\\[ \t]*\n", "", text)
    visible, i = "", 0
    while i < len(text):
        if text.startswith("//", i):
            i = text.find("\n", i) if "\n" in text[i:] else len(text)
        elif text.startswith("/*", i):
            i = text.find("*/", i + 2) + 2 if "*/" in text[i + 2 :] else len(text)
            visible += " "
        elif text[i] in "\"'" and not (text[i] == "'" and re.search(r"(?<!\w)\d\w*$", visible)):
            end = re.compile(r"(?:\\.|[^\\\n" + text[i] + "])*").match(text, i + 1).end()  # type: ignore[union-attr]
            i = end + 1 if text[end : end + 1] == text[i] else end
            visible += '""'
        else:
            visible += text[i]
            i += 1
    return set(re.findall(r"(?<!\w)[A-Za-z_]\w*", visible))
