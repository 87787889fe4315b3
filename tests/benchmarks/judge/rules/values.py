"""Faults in what a kernel computes: arithmetic, constants, precision, and what is done to a result at the end."""

from __future__ import annotations

from tests.benchmarks.judge.rules.rule import Family, Rule, swap

ARITHMETIC = tuple(
    Rule(Family.ARITHMETIC, *rule)
    for rule in (
        ("plus for minus", r"\((u|plane\[i\]|row\[c\]) - (v|p|m|mean|higher)\)", r"(\1 + \2)"),
        ("minus for plus in the result", r"(out\[[^\]\n]*\] = [^;\n]*?[\w)\]f]) \+ (?=[^;\n]*;)", r"\1 - "),
        ("sum is subtracted", r"(\b(?:a|s|sum|q|total|square)|sums\[u\]\[v\]) \+= ", r"\1 -= "),
        ("sum for product", r"(a \+= [^;\n]*\]\)?) \* (?=[^;\n]*;)", r"\1 + "),
        ("quotient for product", r"(out\[[^\]\n]*\] = [^;\n]*?\w\)?) \* (?=[\w(])", r"\1 / "),
        ("minimum for maximum", r"fmaxf\(a, b\)|fmaxf\(m, ", swap("fmaxf", "fminf")),
        ("maximum for minimum", r"fminf\(", "fmaxf("),
        ("absolute value left out", r"fabsf\((u(?: - v)?)\)", r"(\1)"),
        ("square left out", r"\bu \* u\b", "u"),
        ("square of a difference left out", r"\((u - [vp])\) \* \(u - [vp]\)|delta \* delta", "(u - u + 1.f)"),
        ("comparison turned", r"(\bu|other) (>|<) (value\b|0\.f|values)", lambda m: f"{m[1]} {'<' if m[2] == '>' else '>'} {m[3]}"),
        ("maximum not subtracted", r"expf\((u|x\[[^\]\n]*\]|row\[c\]) - [pm]\)", r"expf(\1)"),
        ("maximum not added again", r"= m \+ logf\(", "= logf("),
        ("square root left out", r"(?<!r)sqrtf\(", "("),
        ("root for reciprocal root", r"rsqrtf\(", "sqrtf("),
        ("logarithm left out", r"logf\(", "("),
        ("sign of an exponent", r"expf\(-(u|a|x)\)", r"expf(\1)"),
        ("exponential left out", r"expf\(-?(\w+)\)", r"(\1)"),
        ("branch left out", r"(\bu > 0\.f) \? u : ([^;\n]*)", "u"),
        ("other branch left out", r"fabsf\(u - v\) < 1\.f \? (0\.5f[^:\n]*) : [^;\n]*;", r"\1;"),
        ("tanh left out", r"tanhf\(", "("),
        ("mean by one less", r"/ (cols|n|area|rows)\b(?= ?[;+)])", r"/ (\1 - 1)"),
        ("logits of the label left out", r" - (?:x\[r \* cols \+ labels\[r\]\]|row\[labels\[r\]\])", ""),
        ("error function's argument not scaled", r"(erff\(\w+) \* 0\.70710678f", r"\1"),
    )
)  # fmt: skip


def _scaled(factor: float):
    return lambda match: f"{float(match[0][:-1]) * factor!r}f"


_LITERAL = r"(?<![\w.])(?!0\.f|-?0\.0f)\d+\.\d*(?:e-?\d+)?f"
CONSTANTS = tuple(
    Rule(Family.CONSTANTS, *rule)
    for rule in (
        ("a hundredth too large", _LITERAL, _scaled(1.01)),
        ("half", _LITERAL, _scaled(0.5)),
        ("ten times", _LITERAL, _scaled(10.0)),
        ("sign", r"(?<![\w.])-(\d\.\d*f)", r"\1"),
        ("epsilon a hundred times", r"1e-(\d+)f", lambda m: f"1e-{max(int(m[1]) - 2, 1)}f"),
        ("epsilon left out", r" \+ 1e-\d+f", ""),
        ("one for zero", r"(?<=, )0\.f\)", "1.f)"),
        ("cut after two digits", r"(0\.[1-9]\d|0\.0\d\d)\d+f", r"\1f"),
        (
            "integer division",
            r"part\[0\] / (n|rows)|\ba / (n|cols)\b",
            lambda m: m[0].replace("/", "* (1 /") + ")",
        ),
        ("lower limit", r"(?<=, )-1\.f\)", "0.f)"),
    )
)

_HALF = "#include <cuda_fp16.h>\n"
_BFLOAT = "#include <cuda_bf16.h>\n"
_SUM = r"(\b(?:a|q|s|sum|square|total)|sums\[u\]\[v\]) \+= ([^;\n]+);"
_JOIN = r"\b(a|p|q) = a \+ b;"
_READ = r"float (u|v) = ((?:x|y|row|plane)\[[^\]\n]*\]);"
PRECISION = tuple(
    Rule(Family.PRECISION, *rule)
    for rule in (
        ("sum in half", _SUM, r"\1 = __half2float(__float2half(\1 + (\2)));", _HALF),
        ("join in half", _JOIN, r"\1 = __half2float(__float2half(a + b));", _HALF),
        ("sum in bfloat16", _SUM, r"\1 = __bfloat162float(__float2bfloat16(\1 + (\2)));", _BFLOAT),
        ("join in bfloat16", _JOIN, r"\1 = __bfloat162float(__float2bfloat16(a + b));", _BFLOAT),
        ("partial results in half", r"(part\[t\]|part\[warp\]|partial\[[^\]\n]*\]) = ([\w\[\]]+);",
         r"\1 = __half2float(__float2half(\2));", _HALF),
        ("input rounded to half", _READ, r"float \1 = __half2float(__float2half(\2));", _HALF),
        ("input rounded to bfloat16", _READ, r"float \1 = __bfloat162float(__float2bfloat16(\2));", _BFLOAT),
        ("result rounded to half", r"(float\* out[^{]*\{(?:.|\n)*?out\[[^\]\n]*\] = )([^;\n_]+);",
         r"\1__half2float(__float2half(\2));", _HALF),
        ("result rounded to bfloat16", r"(float\* out[^{]*\{(?:.|\n)*?out\[[^\]\n]*\] = )([^;\n_]+);",
         r"\1__bfloat162float(__float2bfloat16(\2));", _BFLOAT),
        ("fast exponential", r"(?<![\w])expf\(", "__expf("),
        ("fast logarithm", r"(?<![\w])logf\(", "__logf("),
        ("tanh by a quotient of polynomials", r"tanhf\(", "quotient(",
         "__device__ float quotient(float z) { return fminf(fmaxf(z * (27.f + z * z) / (27.f + 9.f * z * z), -1.f), 1.f); }\n"),
        ("exponential by its series", r"(?<![\w])expf\(-(\w)\)", r"series(-\1)",
         "__device__ float series(float z) { float s = 1.f; for (int i = 8; i > 0; --i) s = 1.f + s * z / i; return s; }\n"),
        ("variance as a difference of squares", r"(float q = 0\.f;(?:.|\n)*?)\(u - p\) \* \(u - p\)((?:.|\n)*?)q / cols",
         r"\1u * u\2(q / cols - p * p)"),
        ("result in steps of a 512th", r"(float\* out[^{]*\{(?:.|\n)*?out\[[^\]\n]*\] = )([^;\n_]+);",
         r"\1rintf((\2) * 512.f) / 512.f;"),
        ("reciprocal in half", r"/ (q|s);", r"* __half2float(__float2half(1.f / \1));", _HALF),
    )
)  # fmt: skip

EPILOGUE = tuple(
    Rule(Family.EPILOGUE, *rule)
    for rule in (
        ("bias left out", r" \+ (?:layer_bias|b|shift)\[[\w.]+\]", ""),
        ("bias not the first value", r"= layer_bias\[o\];", "= 0.f;"),
        ("first bias for all", r"\b(layer_bias)\[\w+\]", r"\1[0]"),
        ("activation left out", r"fmaxf\(a, 0\.f\)", "a"),
        ("activation after the bias left out", r"fmaxf\((a \+ layer_bias\[j\]), 0\.f\)", r"(\1)"),
        ("lower clamp left out", r"fmaxf\((u[^,\n]*), -1\.f\)", r"(\1)"),
        ("upper clamp left out", r"fminf\((fmaxf\([^)\n]*\)), [12]\.f\)", r"\1"),
        ("factor left out", r" \* (?:0\.5f|1\.5f)(?=[; +,)])", ""),
        ("gain left out", r" \* (?:layer_weight\[c\]|w\[c\]|scale\[threadIdx\.x\])", ""),
        ("first gain for all", r"\b(layer_weight|w)\[c\]", r"\1[0]"),
        ("normaliser left out", r"(expf\([^;\n]*\)|u) / (?:q|s|fmaxf\(sqrtf\(q\), 1e-12f\))(?=;|\))", r"\1"),
        ("logarithm of the sum left out", r" - logf\(q\)", ""),
        ("mean left out", r"( / (?:n|rows|cols|area|9\.f))(?=[;)])", ""),
        ("scale of the norm left out", r" \* (?:scale|rsqrtf\([^;\n]*?\))(?=[; )])", ""),
        ("carry left out", r" \+ carry\b", ""),
        ("gate left out", r" \* v(?=[;)])", ""),
        ("residual left out", r"(u \* 1\.5f) \+ v\b", r"\1"),
        ("bias before the sum only in one", r"\+ layer_bias\[(\w)\]", r"+ 2.f * layer_bias[\1]"),
    )
)
