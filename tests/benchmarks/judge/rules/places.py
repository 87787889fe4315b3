"""Faults in where a kernel reads, writes and stops: bounds, indices, borders."""

from __future__ import annotations

from tests.benchmarks.judge.rules.rule import Family, Rule, swap

_LESS = r"\w+ < [\w* +]+"

BOUNDS = tuple(
    Rule(Family.BOUNDS, *rule)
    for rule in (
        ("guard left out", rf"if \({_LESS}\) (?=\{{|out)", ""),
        ("early return left out", r"^ *if \(\w+ >= [^)\n]*\) return;\n", ""),
        ("guard lets one more in", r"(if \(\w+) < (?=[\w* ]+\))", r"\1 <= "),
        ("early return lets one more in", r"(if \(\w+) >= (?=[\w* ]+\) return)", r"\1 > "),
        ("guard keeps one more out", r"(if \(\w+) < (?=(?:n|rows|cols|m)\))", r"\1 + 1 < "),
        ("first of two bounds left out", rf"(if \(|= ){_LESS} && ({_LESS})", r"\1\2"),
        ("second of two bounds left out", rf"(if \(|= )({_LESS}) && {_LESS}", r"\1\2"),
        ("loop stops one short", r"(for \([^;\n]*; \w+ < [\w* +]+)(;)", r"\1 - 1\2"),
        ("loop goes one too far", r"(for \([^;\n]*; \w+) < ([^;\n]+;)", r"\1 <= \2"),
        ("loop starts at one", r"(for \(int \w+ = )0;", r"\g<1>1;"),
        (
            "stride loop runs once",
            r"for \((int \w+ = [^;\n]*(?:blockIdx|threadIdx|\bt\b|rank)[^;\n]*); ([^;\n]*); \w+ \+= [^{\n]*\) \{",
            r"if (\1; \2) {",
        ),
        ("work capped at 2048", r"(for \([^;\n]*; \w+ < )(n|cols|rows)(;)", r"\1min(\2, 2048)\3"),
        ("tail of a vectorised loop left out", r"if \(t < n - vectors \* 4\)", "if (t < 0)"),
        ("tail of a vectorised sum left out", r"if \(blockIdx.x == 0 && t < n % 4\)", "if (t < 0)"),
        ("odd element left out", r" && n % 2 == 1", " && n % 2 == 2"),
        ("counter of 16 bits", r"for \(int (?=\w+ = [^0])", "for (short "),
        ("index of 16 bits", r"^( *)int (?=\w+ = blockIdx)", r"\1short "),
        ("counter of 8 bits", r"for \(int (?=\w+ = )", "for (unsigned char "),
        ("gives up on large inputs", r"^( *)(out\[(i|e|r)\] = )", r"\1if (\3 < 40000) \2"),
    )
)

INDEX = tuple(
    Rule(Family.INDEX, *rule)
    for rule in (
        ("row stride of the other extent", r"\br \* cols\b", "r * rows"),
        ("stride of the result for the left factor", r"\bi \* k \+", "i * n +"),
        ("stride of the left factor for the right one", r"\bp \* n \+", "p * k +"),
        ("stride of the left factor for the result", r"\bi \* n \+ j", "i * k + j"),
        ("transposed result", r"\bi \* n \+ j\b", "j * m + i"),
        ("neighbour is read", r"(x\[|row\[|plane\[|y\[)([^\]\n]+)\]", r"\1\2 + 1]"),
        ("neighbour is written", r"out\[([^\]\n]+)\] =", r"out[\1 + 1] ="),
        ("pairs change places", r"out\[(i|e)\] =", r"out[\1 ^ 1] ="),
        ("thread x for y", r"threadIdx\.[xy]", swap("x", "y")),
        ("block x for y", r"(?<!// )blockIdx\.[xy]", swap("blockIdx.x", "blockIdx.y")),
        ("grid for block", r"blockIdx\.(x|y) \* blockDim\.\1", r"blockIdx.\1 * gridDim.\1"),
        ("remainder for quotient", r"(\be|\bi) / (\w+);", r"\1 % \2;"),
        ("quotient for remainder", r"(\be|\bi) % (\w+);", r"\1 / \2;"),
        ("tile is read transposed", r"(left|right|tile|part)\[([\w.]+)\]\[([\w.]+)\](?! =)", r"\1[\3][\2]"),
        ("tile is written transposed", r"(left|right|tile|part)\[([\w.]+)\]\[([\w.]+)\](?= =)", r"\1[\3][\2]"),
        ("half a warp for a warp", r"(threadIdx\.x|thread_rank\(\)) (& 31|% 32|>> 5|/ 32)",
         lambda m: f"{m[1]} {dict([('& 31', '& 15'), ('% 32', '% 16'), ('>> 5', '>> 4'), ('/ 32', '/ 16')])[m[2]]}"),
        ("batch left out", r"\(b \* (?:out_)?channels \+ (c|o)\)", r"\1"),
        ("channel of the weights left out", r"\(o \* channels \+ c\)", "o"),
        ("row offset left out", r" \+ \(size_t\)\(?(?:blockIdx\.[xz]|r)\)? \* (?:cols|area)", ""),
        ("row offset of the result left out", r"(out\[|target = out \+ )\(size_t\)(?:blockIdx\.x|r) \* (cols|area)", r"\1(size_t)0 * \2"),
        ("partial in the wrong place", r"blockIdx\.x \* (\d+) \+ blockIdx\.y\]", r"blockIdx.y * \1 + blockIdx.x]"),
        ("lane of a vector twice", r"\b(u|v|r|four)\.(y|w)\b", lambda m: f"{m[1]}.{'x' if m[2] == 'y' else 'z'}"),
        ("next vector", r"(float4\*>\(\w+\))\[(\w+)\]", r"\1[\2 + 1]"),
        ("column of the row", r"\b(w|b|layer_weight|layer_bias)\[c\]", r"\1[r % cols]"),
        ("place instead of the running one", r"\bplaces\[0\]", "places[1]"),
    )
)  # fmt: skip

BOUNDARY = tuple(
    Rule(Family.BOUNDARY, *rule)
    for rule in (
        ("lower border left out", r"\b(h|w) >= 0 && ", ""),
        ("upper border left out", r" && (h < height|w < width)", ""),
        ("upper border one too far", r"\b(h|w) < (height|width)\b", r"\1 <= \2"),
        ("upper border of a skip one too far", r"\b(h|w) >= (height|width)\b", r"\1 > \2"),
        ("lower border one too far", r"\b(h|w) (>= 0|< 0)", lambda m: f"{m[1]} {'>= -1' if '>' in m[2] else '< -1'}"),
        ("border skips a real row", r"\b(h|w) >= 0 &&", r"\1 >= 1 &&"),
        ("padding left out", r"((?:oh|ow) \* 2) - 1", r"\1"),
        ("padding of two taken for one", r"((?:oh|ow)) - 2", r"\1 - 1"),
        ("stride left out", r"\b(oh|ow) \* 2", r"\1"),
        ("dilation left out", r"\b(p|q) \* 2", r"\1"),
        ("window too small", r"(for \(int [pq] = 0; [pq] < )3", r"\g<1>2"),
        ("taps too few", r"tap < 9", "tap < 8"),
        ("upper end of a window", r"\b(oh|ow) \* 2 \+ 2", r"\1 * 2 + 1"),
        ("window clamped to the second row", r"max\((oh|ow) \* 2 - 1, 0\)", r"max(\1 * 2 - 1, 1)"),
        ("zero padding under a maximum", r"(inside \? [^:\n]*: )-INFINITY", r"\g<1>0.f"),
        ("maximum starts at zero", r"float (a|m|p) = -(?:INFINITY|FLT_MAX)", r"float \1 = 0.f"),
        ("diagonal left out", r"c <= r", "c < r"),
        ("one diagonal too many", r"c <= r", "c <= r + 1"),
        ("border mirrored instead of left out", r"if \(h >= 0 && h < height && w >= 0 && w < width\) (?=\{|u)",
         "h = h < 0 ? -h : min(h, height - 1); w = w < 0 ? -w : min(w, width - 1);\n if (true) "),
    )
)  # fmt: skip
