"""Faults in how threads work together: barriers, fences, atomics, reductions, memory that nobody set, launches."""

from __future__ import annotations

from tests.benchmarks.judge.rules.rule import Family, Rule

_BARRIER = r"(?:__syncthreads|block\.sync)\(\);"

SYNCHRONISATION = tuple(
    Rule(Family.SYNCHRONISATION, *rule)
    for rule in (
        ("barrier left out", rf"^ *{_BARRIER}\n", ""),
        ("barrier of a warp for one of the block", _BARRIER, "__syncwarp();"),
        ("barrier before the store", rf"^( *[^\n;{{}}]+;)\n( *{_BARRIER})$", r"\2\n\1"),
        ("barrier after the next statement", rf"^( *{_BARRIER})\n( *[^\n;{{}}]+;)$", r"\2\n\1"),
        ("barrier for some threads", _BARRIER, "if (threadIdx.x < 32) __syncthreads();"),
        ("barrier within the branch", rf"(if \(t < \w+\)) (part\[t\] \+= part\[t \+ \w+\];)\n *{_BARRIER}",
         r"\1 { \2 __syncthreads(); }"),
        ("barrier once only", rf"^( *)({_BARRIER})(?=\n *\}}\n)", r"\1if (threadIdx.x > 1000000) \2"),
        ("fence left out", r"^ *__threadfence\(\);\n", ""),
        ("ticket before the data", r"^( *partial\[[^\n]*\n)( *__threadfence\(\);\n)([^\n]*atomic[^\n]*\n)", r"\3\1\2"),
        ("fence before the data", r"^( *partial\[[^\n]*\n)( *__threadfence\(\);\n)(?=[^\n]*atomic)", r"\2\1"),
        ("mask of half a warp", r"0xffffffff\b", "0x0000ffff"),
        ("lane reads before the others arrive", r"__shfl_down_sync\(0xffffffff, (\w+), d\)",
         r"(threadIdx.x % 32 < d ? __shfl_down_sync(0xffffffff, \1, d) : 0.f)"),
        ("everybody finishes", r"if \((?:last|drawn == [\d ]+- 1)\)", "if (true)"),
        ("one buffer for two", r"from = 1 - from;", "from = 0;"),
        ("flag read without the barrier", r"(last = [^;\n]*;\n *\})\n *__syncthreads\(\);", r"\1"),
    )
)  # fmt: skip

ATOMICS = tuple(
    Rule(Family.ATOMICS, *rule)
    for rule in (
        ("plain sum", r"atomicAdd\(&(\w+\[[^\n]*?\]), ([^;\n]+)\);", r"\1 += \2;"),
        ("plain sum through a pointer", r"atomicAdd\(out, ([^;\n]+)\);", r"*out += \1;"),
        ("plain store", r"atomicAdd\(&(out\[[^\n]*?\]), ([^;\n]+)\);", r"\1 = \2;"),
        ("plain store through a pointer", r"atomicAdd\(out, ([^;\n]+)\);", r"*out = \1;"),
        ("exchange for sum", r"atomicAdd\((?=&?out)", "atomicExch("),
        ("plain ticket", r"= atomicAdd\(&(ticket\[[^\]\n]*\]), 1\);", r"= \1++;"),
        ("plain ticket with wrap", r"= atomicInc\(ticket, [^)\n]*\) ==", "= (*ticket)++ =="),
        ("every lane adds", r"if \((?:\(threadIdx\.x & 31\) == 0|t == 0|threadIdx\.x == 0)\) (?=\{?\n? *atomicAdd)", ""),
        ("first lane of the block only", r"if \(\(threadIdx\.x & 31\) == 0\)", "if (threadIdx.x == 0)"),
        ("ticket one too early", r"(drawn == \d+|== \d+) - 1\b", r"\1 - 2"),
        ("ticket one too late", r"(drawn == \d+|== \d+) - 1\b", r"\1"),
        ("one word for all", r"atomicAdd\(&(out|ticket)\[[^\n]*?\], ", r"atomicAdd(&\1[0], "),
        ("added twice", r"^( *)(atomicAdd\(&?out[^;\n]*;)", r"\1\2 \2"),
        ("difference for sum", r"atomicAdd\((&?out[^\n]*), ([^;,\n]+)\);", r"atomicAdd(\1, -(\2));"),
        ("wrong half of the range", r"atomicMax\(", "atomicMin("),
        ("compare and store for maximum", r"atomicMax\((\([^,\n]*), ([^;\n]*)\);", r"if (*\1 < \2) *\1 = \2;"),
        ("compare and swap once", r"while (\(__int_as_float\(old\) < value\))", r"if \1"),
        ("store for compare and swap", r"old = atomicCAS\(word, seen, ([^;\n]*)\);", r"*word = \1;"),
        ("sign not looked at", r"if \(a >= 0\.f\) (atomicMax[^;\n]*;)\n *else [^;\n]*;", r"\1"),
    )
)  # fmt: skip

REDUCTION = tuple(
    Rule(Family.REDUCTION, *rule)
    for rule in (
        ("maximum from zero", r"(= |: )-(?:INFINITY|FLT_MAX);", r"\g<1>0.f;"),
        ("minimum from zero", r"= INFINITY;", "= 0.f;"),
        ("sum from one", r"float (a|s|q|sum|total|square) = 0\.f;", r"float \1 = 1.f;"),
        ("tree starts at a quarter", r"(int [sh] = (?:\w+|blockDim\.x)) / 2;", r"\1 / 4;"),
        ("tree ends early", r"\b([sh]) > 0; \1 (>>=|/=)", r"\1 > 1; \1 \2"),
        ("tree leaves levels out", r"([sh] > 0; [sh] )>>= 1", r"\1>>= 2"),
        ("shuffle starts at eight", r"int d = 16;", "int d = 8;"),
        ("shuffle ends early", r"(int d = (?:16|\d+ / 2|tile\.size\(\) / 2); d) > 0;", r"\1 > 1;"),
        ("shuffle leaves levels out", r"(d > 0; d )(>>= 1|/= 2)", r"\1/= 4"),
        ("stored instead of added", r"(\b(?:a|s|q|sum|total|square)|sums\[u\]\[v\]) \+= ", r"\1 = "),
        ("partner of another thread", r"\[t \+ ([sh])\]", r"[\1]"),
        ("first warp only", r"(for \(int w = 1; w < )\d+", r"\g<1>2"),
        ("not rescaled", r"(\bs|total\[t\]) \* expf\([^)\n]*\) \+", r"\1 +"),
        ("other half not rescaled", r"(s2|total\[t \+ h\]) \* expf\([^)\n]*\)", r"\1"),
        ("merge without its correction", r" \+ delta \* delta \* count \* count_b / total", ""),
        (
            "merged mean not weighted",
            r"\(count \* mean \+ count_b \* mean_b\) / total",
            "(mean + mean_b) / 2.f",
        ),
        ("carry of one part only", r"carry \+= ", "carry = "),
        ("scan leaves a lane out", r"\b(lane|t) >= d\b", r"\1 > d"),
        ("scan stops early", r"(for \(int d = 1; d < )(\d+)", r"\1\2 / 2"),
        ("scan exclusive", r"^( *)(a \+= x\[[^;\n]*;)\n( *out\[[^\n]*= a;)", r"\3\n\1\2"),
        ("last wins", r"= fmaxf\(a, b\);", "= b;"),
        ("maximum not carried along", r"\n *m = higher;", ""),
        ("warps not joined", r"lane < \d+ \? part\[lane\] :", "lane < 1 ? part[lane] :"),
        ("places not carried along", r"\n *(?:places\[t\]|best) = place;", ""),
        (
            "broadcast from the first lane",
            r"__shfl_sync\(0xffffffff, (\w+), 31\)",
            r"__shfl_sync(0xffffffff, \1, 0)",
        ),
    )
)

MEMORY = tuple(
    Rule(Family.MEMORY, *rule)
    for rule in (
        ("clearing launch left out", r"^// launch clear<<<[^\n]*\n", ""),
        ("accumulator not set", r"float (a|s|q|sum|total|square|carry|mean|m2|count) = 0\.f;", r"float \1;"),
        ("maximum not set", r"float (a|m|p|value) = -?(?:INFINITY|FLT_MAX);", r"float \1;"),
        ("padding of a tile not set", r"^( *)(\w+(?:\[[^\n=]*\])+) = ([^?\n]*) \? ([^:\n]*) : (?:0\.f|-INFINITY);", r"\1if (\3) \2 = \4;"),
        ("partial results of one warp only", r"part\[t\] = (\w+);", r"if (t < 32) part[t] = \1;"),
        ("several accumulators not set", r"(lanes\[j\]|sums\[u\]\[v\]) = (?:0\.f|-INFINITY);", ";"),
        ("list of accumulators not set", r"(float sums\[4\]) = \{[^}\n]*\};", r"\1;"),
        ("one tap not set", r"if \(t < 9\) taps", "if (t < 8) taps"),
        ("result of some not stored", r"^( *)(out\[(i|e)\] = )", r"\1if (\3 % 97 != 5) \2"),
        ("row of some blocks not stored", r"^( *)(out\[(r|c)\] = )", r"\1if (\3 % 31 != 30) \2"),
        ("partial of the last block not stored", r"^( *if \(t == 0)(\) partial)", r"\1 && blockIdx.x != gridDim.x - 1\2"),
        ("cleared to zero under a maximum", r"(void clear(?:.|\n)*?out\[[rc]\] = )-INFINITY", r"\g<1>0.f"),
        ("clears half", r"(void clear\([^{]*\{(?:.|\n)*?if \(\w+ < )(\w+)", r"\1\2 / 2"),
        ("best place not set", r"int best = (?:0|0x7fffffff);", "int best;"),
        ("cache of a row not set", r"^( *)(scale|shift|part)\[threadIdx\.x\] = ", r"\1if (threadIdx.x != 5) \2[threadIdx.x] = "),
    )
)  # fmt: skip

_CEIL = r"^(// launch [^\n]*?)ceil_div\(((?:[^(),\n]|\([^()\n]*\))+), ?((?:[^(),\n]|\([^()\n]*\))+)\)"
LAUNCH = tuple(
    Rule(Family.LAUNCH, *rule)
    for rule in (
        ("blocks rounded down", _CEIL, r"\1max((\2) / (\3), 1)"),
        ("one block too few", _CEIL, r"\1max(ceil_div(\2, \3) - 1, 1)"),
        ("a fixed grid of 16", _CEIL, r"\g<1>16"),
        ("grid by twice the block", _CEIL, r"\1ceil_div(\2, (\3) * 2)"),
        ("twice the threads", r"^(// launch (?!clear|zero)\w+<<<.*, ?)(\d+)(>>>)", lambda m: f"{m[1]}{int(m[2]) * 2}{m[3]}"),
        ("half the threads", r"^(// launch (?!clear|zero)\w+<<<.*, ?)(\d+)(>>>)", lambda m: f"{m[1]}{max(int(m[2]) // 2, 1)}{m[3]}"),
        ("half the shared memory", r"^(// launch [^\n]*, \d+) \* 4>>>", r"\1 * 2>>>"),
        ("no shared memory", r"^(// launch [^\n]*), \d+ \* 4>>>", r"\1>>>"),
        ("grid turned", r"^(// launch \w+<<<dim3\()((?:[^(),\n]|\((?:[^()\n]|\([^()\n]*\))*\))+), ((?:[^(),\n]|\((?:[^()\n]|\([^()\n]*\))*\))+)", r"\1\3, \2"),
        ("half the scratch", r"^(// scratch [^\n]*\[)([^\]\n]*)\]", r"\1max((\2) / 2, 1)]"),
        ("sizes exchanged", r"^(// launch [^\n]*)\b(rows, cols|cols, rows)\)$", lambda m: f"{m[1]}{', '.join(reversed(m[2].split(', ')))})"),
        ("sizes of a product exchanged", r"^(// launch [^\n]*), m, n, k\)$", r"\1, n, m, k)"),
        ("last sizes of a product exchanged", r"^(// launch [^\n]*), m, n, k\)$", r"\1, m, k, n)"),
        ("inputs exchanged", r"^(// launch [^\n]*>>>\()(x, y|y, x),", lambda m: f"{m[1]}{m[2][3]}, {m[2][0]},"),
        ("block as wide as a row", r"^(// launch \w+<<<rows, ?)\d+(>>>)", r"\1cols\2"),
        ("last launch left out", r"^// launch (?:finish|apply)<<<[^\n]*\n", ""),
        ("launches exchanged", r"^(// launch [^\n]*\n)(// launch [^\n]*\n)", r"\2\1"),
        ("first extent for all elements", r"^(// launch [^\n]*)numel\((\w+)\)", r"\1size(\2, 0)"),
        ("one launch twice", r"^(// launch (?!clear|zero)\w+<<<[^\n]*\n)", r"\1\1"),
        ("constants for a size", r"^(// launch [^\n]*>>>\([^\n]*)\b(n|cols|rows)\)$", r"\g<1>1000)"),
        ("fewer rows", r"^(// launch (?!clear)\w+<<<)rows,", r"\1max(rows - 1, 1),"),
    )
)  # fmt: skip
