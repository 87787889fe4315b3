"""Plain text is what a compiler's first phases make of a source, on the same lines, whatever it holds."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.answer.kernel_names import prepared
from evaluation.backends.cuda import rules as includes
from evaluation.backends.simt import rules
from evaluation.backends.simt.source import missing_header, translation_unit
from evaluation.source_text import macros, plain, unclear, without_literals


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a // b\nc", "a  \nc"),
        ("a /* b */ c", "a   c"),
        ("a\\\nb\nc", "ab\n\nc"),
        ("a\\ \r\nb\r\nc", "ab\n\nc"),
        ("// a\\\nb\nc", " \n\nc"),
        ("#define A /* 1\n2 */ 3\nx", "#define A   3\n\nx"),
        ('"/*" /* " */ "//"', '"/*"   "//"'),
        ("1'000 /* ' */ 'a'", "1'000   'a'"),
        ("a\\", "a"),
    ],
)
def test_comments_and_splices_are_gone_and_lines_stay(source, expected):
    assert plain(source) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("' /*\n", "not closed"),
        ('#error "', "not closed"),
        ("'' /* '", "not closed"),
        ("/*/", "not closed"),
        ('u8R"(x)"', "raw string"),
        ('R\\\n"(x)"', "raw string"),
        ("a??/\nb", "trigraphs"),
        ("\f", "control"),
        ("as\\\\\n\nm", "backslashes"),
        ("a\\\\\n", "backslashes"),
    ],
)
def test_what_compilers_could_read_differently_is_named(source, words):
    assert words in (unclear(source) or "")


@pytest.mark.parametrize("source", ["// don't R\"( ??=\n", 'xR"a"', "1'000'000", "'\\''", '"\\\\"', "L'x'"])
def test_ordinary_text_is_clear(source):
    assert unclear(source) is None


def test_literals_and_macros():
    assert without_literals("f(\"a\", 'b', 1'0)") == 'f("", "", 1\'0)'
    assert macros("#define A 1\n %: define B(x) x\n#undef C\n# define A 2\n#define\n") == ["A", "B"]


PIECES = ["a", "\n", " ", "/*", "*/", "//", "\\\n", '"', "'", "\\", "#define M ", "1", "R", "u8"]


@settings(deadline=None, max_examples=60)  # each starts a compiler twice
@given(st.lists(st.sampled_from(PIECES), max_size=20))
def test_plain_text_means_the_same_to_a_compiler(pieces):
    source = "".join(pieces) + "\n"
    if unclear(source) is None:
        assert preprocessed(plain(source)) == preprocessed(source)
        assert plain(source).count("\n") == source.count("\n") or source.endswith("\\\n")


def preprocessed(source: str) -> list[str]:
    """Tokens by lines as GCC's preprocessor leaves them."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    command = ["g++", "-std=c++17", "-E", "-P", "-x", "c++", "-w", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    return done.stdout.split()


LONG = 60_000


@pytest.mark.parametrize(
    "piece", ['\\"', "\\'", "/* ", "__global__ ", "extern __shared__ ", "int ", "\\\n", "extern "]
)
@pytest.mark.parametrize("start", ["", '"', "'", "/*", "extern __shared__", "namespace"])
def test_no_text_takes_long(piece, start):
    """Steps that grow with the square of the length would take minutes here, and stop the test run."""
    source = start + piece * (LONG // len(piece))
    rules.refuse(source)
    missing_header(source)
    translation_unit(source, {"k": "k"})
    prepared(source, ["k", "n::k<float>"])
    includes.refuse(source)
