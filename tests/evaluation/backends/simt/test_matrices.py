"""Matrix products of a warp are right in every shape, type and layout, whatever lane holds what."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.backends.simt.backend import SimtBackend
from evaluation.backends.simt.source import missing_header
from tests.benchmarks.simt_mix import Launch, bfloat16_to_float, float_to_bfloat16, make_run
from tests.evaluation.simt_runs import SETTINGS, outputs_of

RNG = np.random.default_rng(3)
PRODUCT = """#include <mma.h>
using namespace nvcuda::wmma;
extern "C" __global__ void k(const {memory}* a, const {memory}* b, const {sum}* c, {sum}* o) {{
    fragment<matrix_a, {m}, {n}, {k}, {number}, {left}> x;
    fragment<matrix_b, {m}, {n}, {k}, {number}, {right}> y;
    fragment<accumulator, {m}, {n}, {k}, {sum}> z;
    load_matrix_sync(x, a, {left_stride});
    load_matrix_sync(y, b, {right_stride});
    load_matrix_sync(z, c, {n}, mem_row_major);
    {before}
    mma_sync(z, x, y, z);
    store_matrix_sync(o, z, {m}, mem_col_major);
}}
"""
SHAPES = [(16, 16, 16), (32, 8, 16), (8, 32, 16)]
TYPES = [
    *(
        (*shape, *names)
        for shape in SHAPES
        for names in [("half", "half", "float"), ("half", "half", "half")]
    ),
    *((*shape, "__nv_bfloat16", "__nv_bfloat16", "float") for shape in SHAPES),
    *((*shape, name, name, "int") for shape in SHAPES for name in ("signed char", "unsigned char")),
    (16, 16, 8, "precision::tf32", "float", "float"),
    (8, 8, 4, "double", "double", "double"),
]


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


def _matrix(rows: int, columns: int, name: str) -> np.ndarray:
    """Small integers, whose products are exact in every type."""
    values = RNG.integers(0 if "unsigned" in name else -4, 5, (rows, columns))
    if name == "__nv_bfloat16":
        return float_to_bfloat16(values.astype(np.float32))
    types = {
        "half": "f2",
        "float": "f4",
        "double": "f8",
        "int": "i4",
        "signed char": "i1",
        "unsigned char": "u1",
    }
    return values.astype(types[name])


def _numbers(matrix: np.ndarray) -> np.ndarray:
    return bfloat16_to_float(matrix) if matrix.dtype == np.uint16 else matrix.astype(np.float64)


def _padded(matrix: np.ndarray) -> np.ndarray:
    """With rows of a multiple of 16 numbers, which all types may be loaded from."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % 16)), constant_values=9)


def _multiply(
    backend: SimtBackend, case: tuple[int, int, int, str, str, str], layouts: str, before: str = ""
):
    m, n, k, number, memory, total = case
    a, b, c = _matrix(m, k, memory), _matrix(k, n, memory), _matrix(m, n, total)
    by_row = [letter == "r" for letter in layouts]
    laid = [_padded(x if row else x.T) for x, row in zip((a, b), by_row, strict=True)]
    source = PRODUCT.format(
        m=m, n=n, k=k, number=number, memory=memory, sum=total, before=before,
        left="row_major" if by_row[0] else "col_major", right="row_major" if by_row[1] else "col_major",
        left_stride=laid[0].shape[1], right_stride=laid[1].shape[1],
    )  # fmt: skip
    launch: Launch = ("k", (1, 1, 1), (32, 1, 1), 0, ["a", "b", "c", "o"])
    run = make_run([launch], {"a": laid[0], "b": laid[1], "c": c}, {"o": ((n, m), c.dtype.name)})
    return outputs_of(backend, source, run)["o"].T.astype(np.float64), tuple(map(_numbers, (a, b, c)))


@pytest.mark.parametrize("case", TYPES, ids=lambda case: "-".join(map(str, case)).replace(" ", "_"))
@pytest.mark.parametrize("layouts", ["rr", "rc", "cr", "cc"])
def test_a_product_is_exact(backend, case, layouts):
    got, (a, b, c) = _multiply(backend, case, layouts)
    assert np.array_equal(got, a @ b + c)


def test_what_is_done_to_all_numbers_alike_is_done_to_the_matrix(backend):
    before = "for (int i = 0; i < z.num_elements; i++) z.x[i] = z.x[i] * 3.0f + 1.0f;\n"
    before += "for (int i = 0; i < x.num_elements; i++) x.x[i] = __hneg(x.x[i]);"
    got, (a, b, c) = _multiply(backend, (16, 16, 16, "half", "half", "float"), "rc", before)
    assert np.array_equal(got, 3 * c + 1 - a @ b)


def test_tensor_cores_ignore_the_last_bits_of_tf32_and_conversion_rounds_them(backend):
    case = (16, 16, 8, "precision::tf32", "float", "float")
    for convert, factor in [
        ("1.00097656f", 1.0009765625),
        ("1.0007f", 1.0),
        ("__float_to_tf32(1.0007f)", 1.0009765625),
    ]:
        before = f"fill_fragment(x, {convert}); fill_fragment(y, 1.0f); fill_fragment(z, 0.0f);"
        got, _ = _multiply(backend, case, "rr", before)
        assert np.all(got == 8 * factor)


def test_sums_of_integers_wrap_around_or_saturate(backend):
    case = (16, 16, 16, "signed char", "signed char", "int")
    fill = "fill_fragment(x, 127); fill_fragment(y, 127); fill_fragment(z, 2147483647);"
    wrapped, _ = _multiply(backend, case, "rr", fill)
    saturated, _ = _multiply(backend, case, "rr", fill + " mma_sync(z, x, y, z, true); fill_fragment(x, 0);")
    assert np.all(wrapped == 2**31 - 1 + 16 * 127 * 127 - 2**32)
    assert np.all(saturated == 2**31 - 1)


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("using namespace nvcuda;", "mma.h"),
        ("__pipeline_commit();", "cuda_pipeline_primitives.h"),
        ("#include <cooperative_groups.h>\ncooperative_groups::memcpy_async(b, s, a, 4);", "memcpy_async.h"),
    ],
)
def test_a_header_that_is_missing_is_named(source, header):
    assert header in (missing_header(source) or "")


def test_headers_bring_others():
    assert missing_header("#include <mma.h>\nhalf h; __nv_bfloat16 b;") is None
    assert missing_header("#include <cuda_pipeline.h>\n__pipeline_commit();") is None
