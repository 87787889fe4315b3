"""Operators that fold each row of a matrix to one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.kernels.folds import SERIAL, WRITERS, maximum, minimum, product, strided, total
from data.operators.domains import NEAR_ONE, RARE, USUAL, Domain
from data.operators.operator import Fold, Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

_CENTRED_SQUARE = "({x} - t / n) * ({x} - t / n)"


def _reduction(name: str, torch: str, fold: Fold, cuda: str = "s", *, flops: int = 1) -> Operator:
    return Operator(name, torch, "x[m, n] -> out[m]", cuda, (fold,), flops, writers=WRITERS)


def _in_passes(name: str, torch: str, cuda: str, *passes: Fold, flops: int) -> Operator:
    return Operator(name, torch, "x[m, n] -> out[m]", cuda, passes, flops, writers=WRITERS)


def _place(name: str, extreme: Fold) -> Operator:
    """The first place of an extreme: a place is a whole number, which a float holds up to 2^24."""
    place = minimum("s", f"{{x}} == {extreme.accumulator} ? (float)(i - r * n) : INFINITY")
    return Operator(
        name,
        f"{{x}}.{name}(1)",
        "x[m, n] -> out[m]: int64",
        "(long long)s",
        (extreme, place),
        2,
        writers=WRITERS,
    )


def _of_truths(name: str, fold: Fold, domain: Domain) -> Operator:
    return Operator(
        name, f"{{x}}.{name}(1)", "x[m, n]: bool -> out[m]: bool", "s > 0.f", (fold,), 0,
        domains={"x": domain}, dtypes=("float32",), writers=WRITERS,
    )  # fmt: skip


def _of_two(name: str, torch: str, cuda: str, *passes: Fold, flops: int) -> Operator:
    return Operator(name, torch, "x[m, n], y[m, n] -> out[m]", cuda, passes, flops, writers=WRITERS)


def _extreme(name: str, start: str, better: str) -> Operator:
    """An extreme and its first place."""

    def serial(k: Kernel) -> None:
        k.threads("r", "m", 64)
        k.line(f"float t = {start};", "int place = 0;")
        _search(k, SERIAL, better)
        _both(k, "")

    def warp(k: Kernel) -> None:
        k.launch("m", "32")
        k.line("int r = blockIdx.x;", f"float t = {start};", "int place = n;")
        _search(k, strided(32), better)
        with k.block("for (int d = 16; d > 0; d /= 2)"):
            k.line("float other = __shfl_xor_sync(0xffffffff, t, d);")
            k.line("int at = __shfl_xor_sync(0xffffffff, place, d);")
            with k.block(f"if (other {better} t || (other == t && at < place))"):
                k.line("t = other;", "place = at;")
        _both(k, "threadIdx.x == 0")

    return Operator(
        name, f"torch.{name}({{x}}, 1)", "x[m, n] -> values[m], indices[m]: int64",
        writers={KernelStyle.PER_OUTPUT: serial, KernelStyle.SHUFFLE: warp},
    )  # fmt: skip


def _search(k: Kernel, head: str, better: str) -> None:
    with k.block(head):
        value = k.load("x", "i")
        with k.block(f"if ({value} {better} t)"):
            k.line(f"t = {value};", "place = i - r * n;")


def _both(k: Kernel, when: str) -> None:
    k.store("r", "t", when=when)
    k.store("r", "place", 1, when=when)


OPERATORS = (
    _reduction("sum", "{x}.sum(1)", total()),
    _reduction("mean", "{x}.mean(1)", total(), "s / n"),
    _reduction("amax", "{x}.amax(1)", maximum()),
    _reduction("amin", "{x}.amin(1)", minimum()),
    _in_passes("var", "{x}.var(1)", "s / (n - 1)", total("t"), total("s", _CENTRED_SQUARE), flops=4),
    _in_passes("std", "{x}.std(1)", "sqrtf(s / (n - 1))", total("t"), total("s", _CENTRED_SQUARE), flops=4),
    _in_passes(
        "logsumexp", "{x}.logsumexp(1)", "logf(s) + t", maximum("t"), total("s", "expf({x} - t)"), flops=6
    ),
    Operator(
        "prod", "{x}.prod(1)", "x[m, n] -> out[m]", "s", (product(),),
        domains={"x": NEAR_ONE}, dtypes=("float32", "float16"), writers=WRITERS,
    ),
    _place("argmax", maximum("t")),
    _place("argmin", minimum("t")),
    _extreme("max", "-INFINITY", ">"),
    _extreme("min", "INFINITY", "<"),
    _of_truths("any", maximum("s", "(float){x}"), RARE),
    _of_truths("all", minimum("s", "(float){x}"), USUAL),
    Operator(
        "mv", "torch.mv({x}, {y})", "x[m, n], y[n] -> out[m]", "s", (total("s", "{x} * {y}"),), 2,
        writers=WRITERS,
    ),
    _of_two(
        "cosine_similarity", "F.cosine_similarity({x}, {y}, dim=1)",
        "s / (fmaxf(sqrtf(t), 1e-8f) * fmaxf(sqrtf(g), 1e-8f))",
        total("t", "{x} * {x}"), total("g", "{y} * {y}"), total("s", "{x} * {y}"), flops=6,
    ),
    _of_two(
        "pairwise_distance", "F.pairwise_distance({x}, {y})", "sqrtf(s)",
        total("s", "({x} - {y} + 1e-6f) * ({x} - {y} + 1e-6f)"), flops=4,
    ),
)  # fmt: skip
