"""Hostile and odd responses: whatever they hold, they are read or refused, quickly, and nothing raises."""

from __future__ import annotations

KERNEL = 'extern "C" __global__ void k(const float* x, float* out, int n) { out[0] = x[0]; }\n'


def block(source: str) -> str:
    return f"```cuda\n{source}{KERNEL}```\n"


def launch(text: str) -> str:
    return block(f"// launch {text}\n")


def argument(text: str) -> str:
    return launch(f"k<<<1, 32>>>({text})")


BIG = 60_000
"""About the longest source that is looked at."""

#: Expressions, each to stand as a grid and as an argument.
EXPRESSIONS = [
    "9" * 5000, "0x" + "f" * 5000, "1e" + "9" * 5000, "1" * 5000 + ".0", "1'" * 2500 + "1",
    "-" * 5000 + "1", "~" * 5000 + "1", "- " * 5000 + "1", "(" * 5000, "(" * 5000 + "1" + ")" * 5000,
    "(int)" * 2000 + "n", "min(" * 2000, "1+" * 5000 + "1", "1<<" * 200 + "1", "1 << 62 << 62",
    "(1 << 62) * (1 << 62)", "1 << 99999999999", "-9223372036854775807 - 2",
    "9223372036854775807 * 9223372036854775807", "1 / 0", "1 % 0", "ceil_div(1, 0)",
    "0x7fffffffffffffff + 1", "x.shape[" * 1000, "x.size(9999999999)", "x.size(-9)", "size(x, 1 << 40)",
    "x.size(0.5)", "numel(nothing)", "x.size", "x.", ".x", "x.size(x.size(x.size(0)))",
    "sizeof(sizeof(int))", "sizeof(" + "const " * 2000 + "int)", "sizeof(unsigned " * 500,
    "static_cast<" * 500, "static_cast<int>(" * 500, "(float*)" * 500 + "x", "\uff15", "\u0661", "n\u200b",
    "\u043d", "\u2212" + "1", "n\u00a0+ 1", "1\u00b2", "__import__('os').system('true')", "n.__class__",
    "eval('1')", "lambda: 0", "{" * 500, "[" * 500, "<" * 500, ">>" * 500, "::" * 500, "std::" * 500 + "n",
    "'" * 500, '"' * 500, "\\" * 500, "\t\v\f\r", "\x00", "\x1b[31m", "1e308 * 1e308", "0.0 / 0.0",
    "sqrt(-1)", "rsqrt(0)", "1e-400", "min(1.5, 2) << 1", "~1.5", "5 % 2.5", "true + true", "nullptr",
    "NULL", "a" * 5000, "_" * 5000, "n" + " " * BIG, " " * BIG + "n", "n, " * 5000, "1.5.5", "1..2", "1e",
    "1e+", "0x", "0b1", "08", "1u1", "1ull1", "1lu2", "int", "int int", "const", "unsigned(", "*x", "**x",
    "x for x in x", "lambda", "await n", "(yield)", "None", "True", "...", "1_000", "1j", "x[0]",
    "x.shape[0, 1]", "x.shape[[0]]", "a.b.c", "not n", "n and n", "n in x", "n is n", "print(n)",
    "n if n else 1", "_", "_()", ")(", ") + (", ")(n", "]", "x.size()", "x.size(0, 1)", "x.numel(1)",
    "numel()", "numel(x, x)", "size(x)", "size(1, 2)", "min()", "max(*x)", "float**n", "int**int**n",
    "n**2", "float(n, n)", "dim3(dim3(1))", "-~-~" * 500 + "1", "1if 1else 1", "0x1for",
    "(int)(int)(int)n", "(unsigned long long int)n", "x.data_ptr", "int" * 2000, "(const" * 500,
    "(a(" * 1500, "{{}}", "dim3{{1}}", "a.b(" * 1000, "x.size(" * 800 + "0", "~" * 90 + "1",
    "static_cast<a<b>>(n)", "static_cast<>(n)", "reinterpret_cast<float*>", "std::std::n",
    "(std::size_t)n",
]  # fmt: skip

#: Launch lines.
LINES = [
    "k<<<>>>()", "k<<<,>>>(,)", "k<<<1, 32>>>", "k<<<1, 32>>>)", "k<<<1, 32>>>()()",
    "k<<<<<<1, 32>>>>>>(x)", "k<float", "k<float<<<1, 32>>>(x)", "k<><<<1, 32>>>(x)", "k<,><<<1, 32>>>(x)",
    "k<1.5><<<1, 32>>>(x)", "k<float*><<<1, 32>>>(x)", "k<1 << 40><<<1, 32>>>(x)",
    "k<float><<<1, 32>>>(x)", "k<<<dim3(), 32>>>(x)", "k<<<dim3(1, 2, 3, 4), 32>>>(x)", "k<<<{}, 32>>>(x)",
    "k<<<1, 32, 0, 0, 0>>>(x)", "k" * 100 + "<<<1, 32>>>(x)", "k<" + "1," * 20_000 + "1><<<1, 32>>>(x)",
    "<<<" * 1000, ">>>" * 1000, "k<<<" + "1, " * 1000 + ">>>(x)",
]  # fmt: skip

RESPONSES = [
    "", "\n", "\ufeff", "\r\r\r", "\x00", "\ud800", "```", "~~~", "```cuda", "`" * BIG, "~" * BIG,
    "```" * BIG, "```\n" * BIG, "```cuda\n" * BIG, "~~~cuda\n" * BIG, "```" + "a" * BIG + "`\n",
    "```" + " " * BIG + "`\n", "<think>" * BIG, "</think>" * BIG, "<think></think>" * BIG, "<" * BIG,
    "." * BIG, "." + " " * BIG, ". " * BIG, "<think>\n" * BIG, "</think>\n" * BIG,
    ".<think>.</think>" * BIG, "`</think>`" * BIG, "</think>" + " " * BIG + "x",
    "```cuda\n" + "</think>\n" * BIG, (block("") + "\n") * 500, block("") * 1000,
    block("// launch k<<<1, 32>>>(x)\n" * 100_000), block("// launch k<<<1, 32>>>(x)\n" * 2000),
    block("// Launch: k<<<1, 32>>>(x)\n" * 2000), block("// launch k<<<\n" * 3000),
    block("//launch\n" * 5000), block("// launch k<<<1, 32>>>(\n" + "//\n" * 20_000),
    block("// launch k<<<1, 32>>>(" + "(" * BIG), block("// launch k<<<1, 32>>>(" + "x," * (BIG // 2)),
    block("// launch k<<<1, 32>>>(" + "\n// x," * 10_000),
    block("/*" + "launch k<<<1, 32>>>(x)\n" * 2500 + "*/"), block("/*" * (BIG // 2)),
    block("/**/" * (BIG // 4)), block("/*\n" + " * \n" * 10_000 + "*/"), block("//" * (BIG // 2)),
    block("//\\\n" * 15_000), block("\\\n" * BIG), block("# launch k<<<1, 32>>>(x)\n" * 2000),
    block(" " * BIG + "# launch"), block("#" * BIG), block("# launch\n" * 6000),
    block("// launch " + " " * BIG + "k<<<"), block("// launch " + "a" * BIG + "<<<"),
    block("// launch k" + " " * BIG + "<<<"), block("// launch k<" + "a" * BIG + "<<<"),
    block("// launch k<" * 5000), block("// launch" + ":" * BIG),
    block("// launch " + "kernel " * 8000 + "k<<<"), block("// " + "-*" * 25_000),
    block("// launch k<<<1, 32>>>(x)" + ";" * BIG), block("// launch k<<<1, 32>>>(x)" + " " * BIG + "z"),
    block("// launch k<<<1, 32>>>(x) //" + "<" * BIG),
    block("// launch k<<<1, 32>>>(x) -- " + "<< <" * 10_000), block("// scratch " + " " * BIG + "["),
    block("// scratch a" + " " * BIG + "["), block("// scratch " + "a" * BIG),
    block("// scratch a b" + "[" * BIG), block("// scratch s float32[n]\n" * 2000),
    block("// scratch a: " * 4000), block("// scratch s float32[" + "n," * 20_000),
    block("// scratch s float32[" + "[" * BIG + "]" * BIG), block("#define A 1\n" * 5000),
    block("".join(f"#define A{i} A{i - 1} + 1\n" for i in range(3000))),
    block("#define A " + "(" * BIG + "\n"), block("const " * 10_000),
    block("const int a = " + "1 + " * 15_000 + "1;"), block("const int " + "a" * BIG),
    block("constexpr " + "int " * 15_000), block("const int\n" * 6000),
    block("const int a" + " " * BIG + "x"), block("#define " + " " * BIG), block('"' * BIG),
    block("'" * BIG), block('R"(' * 15_000), block("a'" * 25_000), block("\\" * BIG),
    block("\u202e// launch k<<<1, 32>>>(x)\n"), block("// l\u0430unch k<<<1, 32>>>(x)\n"),
    block("// launch \u043a<<<1, 32>>>(x)\n"), block("// launch k\uff1c\uff1c\uff1c1, 32>>>(x)\n"),
    block("// launch k<<<1, 32>>>(x)\u2028// launch k<<<"), block("/" * BIG), block("?" * BIG),
    block("\v" * BIG), block("\t" * BIG + "// launch k<<<1, 32>>>(x)\n"),
    *map(launch, LINES),
    *map(argument, EXPRESSIONS), *(launch(f"k<<<{text}, 32>>>(x)") for text in EXPRESSIONS),
    *(block(f"// scratch s float32[{text}]\n// launch k<<<1, 32>>>(s)\n") for text in EXPRESSIONS),
]  # fmt: skip
