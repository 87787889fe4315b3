"""Matrix products in all layouts, and transposition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data.kernels.products import Product, writers
from data.operators.dims import (
    BATCH,
    COLUMNS,
    DEEP,
    FEATURES,
    INNER,
    PRODUCT_COLUMNS,
    PRODUCT_ROWS,
    ROWS,
    SKINNY,
    TALL,
    Kind,
)
from data.operators.domains import LOWER_TRIANGULAR, SYMMETRIC, UPPER_TRIANGULAR, Domain
from data.operators.operator import Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _transpose(k: Kernel) -> None:
    """One thread per element: reads in order, writes to the transposed place."""
    k.threads("i", "m * n")
    k.store("i % n * m + i / n", k.load("x", "i"))


def _transpose_tiled(k: Kernel) -> None:
    """16 x 16 tiles through shared memory, so that reads and writes are both in order."""
    k.launch("dim3(ceil_div(n,16),ceil_div(m,16))", "dim3(16,16)")
    k.line(
        "__shared__ float p[16][17];",
        "int i = blockIdx.y * 16 + threadIdx.y;",
        "int j = blockIdx.x * 16 + threadIdx.x;",
    )
    with k.block("if (i < m && j < n)"):
        value = k.finish(k.load("x", "i * n + j"), "j * m + i")
        k.line(f"p[threadIdx.y][threadIdx.x] = {value};")
    k.line("__syncthreads();", "i = blockIdx.y * 16 + threadIdx.x;", "j = blockIdx.x * 16 + threadIdx.y;")
    k.put("j * m + i", "p[threadIdx.x][threadIdx.y]", when="i < m && j < n")


_DIMS = {"m": PRODUCT_ROWS, "n": PRODUCT_COLUMNS, "k": INNER}
_BY_COLUMN, _BY_ROW = "{inner} * m + {row}", "{column} * k + {inner}"
_SQUARE = Product("{row} * n + {inner}", rows="n", depth="n")
_UPPER = replace(_SQUARE, first="{row}", behind="{column}")
_LOWER = replace(_SQUARE, first="{column}", behind="{row}")


def _product(
    name: str, torch: str, signature: str, product: Product, dims: dict[str, Kind] | None = None
) -> Operator:
    rows = f"{product.batches} * {product.rows}" if product.batches else product.rows
    return Operator(
        name, torch, signature, flops=f"2 * {rows} * n * {product.depth}", dims=dims or _DIMS,
        writers=writers(product),
    )  # fmt: skip


def _square(name: str, torch: str, domains: dict[str, Domain], flops: str, product: Product) -> Operator:
    """A product of [n, n] and [n, n] whose operands have zeros, or each value twice."""
    return Operator(
        name, torch, "x[n, n], y[n, n] -> out[n, n]", flops=flops, domains=domains,
        dims={"n": PRODUCT_COLUMNS}, writers=writers(product),
    )  # fmt: skip


def _inner_split(k: Kernel) -> None:
    """16 threads for each output element, each with a share of the inner places; then their sums."""
    k.temporary("partial", "16*m*n")
    k.launch("dim3(ceil_div(m*n,128),16)", "128")
    k.line(
        "int i = blockIdx.x * 128 + threadIdx.x, share = (k + 15) / 16;",
        "if (i >= m * n) return;",
        "int first = blockIdx.y * share, last = min(first + share, k);",
        "float s = 0.f;",
    )
    with k.block("for (int j = first; j < last; ++j)"):
        x = k.load("x", "i / n * k + j")
        k.line(f"s += {x} * {k.read('y', 'i % n * k + j')};")
    k.line("partial[blockIdx.y * m * n + i] = s;")
    k.another()
    k.threads("i", "m * n")
    k.line("float s = 0.f;", "for (int j = 0; j < 16; ++j) s += partial[j * m * n + i];")
    k.store("i", "s")


OPERATORS = (
    Operator(
        "transpose",
        "{x}.t()",
        "x[m, n] -> out[n, m]",
        flops=0,
        dims={"m": ROWS, "n": COLUMNS},
        writers={
            KernelStyle.UNGUARDED: _transpose,
            KernelStyle.PER_OUTPUT: _transpose,
            KernelStyle.SHARED: _transpose_tiled,
        },
    ),
    _product("matmul", "{x} @ {y}", "x[m, k], y[k, n] -> out[m, n]", Product()),
    _product("matmul_tn", "{x}.t() @ {y}", "x[k, m], y[k, n] -> out[m, n]", Product(left=_BY_COLUMN)),
    _product("matmul_nt", "{x} @ {y}.t()", "x[m, k], y[n, k] -> out[m, n]", Product(right=_BY_ROW)),
    _product(
        "matmul_tt", "{x}.t() @ {y}.t()", "x[k, m], y[n, k] -> out[m, n]",
        Product(left=_BY_COLUMN, right=_BY_ROW),
    ),
    _product(
        "mm", "torch.mm({x}, {y})", "x[m, f], y[f, n] -> out[m, n]",
        Product("{row} * f + {inner}", depth="f"), {"m": TALL, "n": SKINNY, "f": FEATURES},
    ),
    _product(
        "addmm", "torch.addmm({bias}, {x}, {y})", "bias[n], x[m, k], y[k, n] -> out[m, n]",
        Product(bias="bias"),
    ),
    _product(
        "linear", "F.linear({x}, {weight}, {bias})", "x[m, k], weight[n, k], bias[n] -> out[m, n]",
        Product(right=_BY_ROW, operands=("x", "weight"), bias="bias"),
    ),
    _product(
        "bmm", "torch.bmm({x}, {y})", "x[b, m, k], y[b, k, n] -> out[b, m, n]",
        Product(
            "({batch} * m + {row}) * k + {inner}", "({batch} * k + {inner}) * n + {column}",
            "({batch} * m + {row}) * n + {column}", batches="b",
        ),
        {"b": BATCH, **_DIMS},
    ),
    _product(
        "tensordot", "torch.tensordot({x}, {y}, 1)", "x[b, m, k], y[k, n] -> out[b, m, n]",
        Product(rows="b * m"), {"b": BATCH, **_DIMS},
    ),
    _product(
        "einsum", "torch.einsum('bijl,lk->bijk', {x}, {y})", "x[b, h, w, k], y[k, n] -> out[b, h, w, n]",
        Product(rows="b * h * w"), {"n": PRODUCT_COLUMNS, "k": INNER},
    ),
    Operator(
        "inner", "torch.inner({x}, {y})", "x[m, k], y[n, k] -> out[m, n]", flops="2 * m * n * k",
        dims={"m": SKINNY, "n": FEATURES, "k": DEEP},
        writers={**writers(Product(right=_BY_ROW)), KernelStyle.SHARED: _inner_split},
    ),
    _square(
        "matmul_symmetric", "{x} @ {y}", {"x": SYMMETRIC, "y": SYMMETRIC}, "2 * n * n * n", _SQUARE,
    ),
    _square(
        "matmul_triu", "{x} @ {y}", {"x": UPPER_TRIANGULAR, "y": UPPER_TRIANGULAR}, "n * n * (n + 1) / 3",
        _UPPER,
    ),
    _square(
        "matmul_tril", "{x} @ {y}", {"x": LOWER_TRIANGULAR, "y": LOWER_TRIANGULAR}, "n * n * (n + 1) / 3",
        _LOWER,
    ),
)  # fmt: skip
