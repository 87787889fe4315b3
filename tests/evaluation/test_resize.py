"""Rewriting size constants: what is preserved, and which numbers are sizes at all."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.resize import Resizer, Rule, Style, with_sizes
from evaluation.syntax import ProgramError

ATTENTION = """
import torch
batch, heads, hidden = 2, 8, 512

def get_inputs():
    return [torch.randn(batch, 16, hidden)]

def fused_operator(x):
    return x.view(batch, 16, heads, hidden // heads).softmax(dim=2) ** 2
"""
LITERALS = """
import torch

def get_inputs():
    return [torch.randn([7, 1, 7, 64])]

def fused_operator(x):
    y = x.reshape(49, 64) / 64 + torch.zeros(64).cuda()
    return torch.nn.functional.layer_norm(y, (64,), eps=1e-5).sum(1)
"""


def shape_of(program):
    """Integers of the first shape drawn."""
    return [int(number) for number in re.findall(r"\d+", re.search(r"randn\((.*?)\)", program).group(1))]


def test_equal_stays_equal_and_one_stays_one():
    for style in Style:
        for rule in Rule:
            for variant in Resizer(LITERALS, {7, 1, 64}).variants(style, rule):
                first, one, third, last = shape_of(variant.program)
                assert (first, one) == (third, 1)
                assert last == dict(variant.sizes)[64]


def test_the_body_follows_where_a_literal_is_a_size_and_only_there():
    program = Resizer(LITERALS, {7, 1, 64}).rewrite({64: 45})
    assert "(49, 45)" in program and "torch.zeros(45)" in program and "(45,)" in program
    assert "/ 64" in program and "eps=1e-05" in program


def test_what_a_program_computes_from_its_constants_is_left_to_it():
    resizer = Resizer(ATTENTION, {2, 16, 512})
    assert set(resizer.values) == {2, 16, 512}
    program = resizer.rewrite({512: 40, 2: 3})
    assert "batch, heads, hidden = (3, 8, 40)" in program
    assert "hidden // heads" in program and "** 2" in program and "dim=2" in program


def test_windows_and_other_settings_are_no_sizes():
    program = """
kernel_size = 3
channels = 6
groups = 2
def get_inputs():
    return [torch.randn(4, channels, 3)]
def get_init_inputs():
    return [channels, kernel_size, groups]
"""
    resizer = Resizer(program, {4, 6, 3})
    assert "kernel_size = 3" in resizer.rewrite({3: 5, 6: 9})
    assert "channels = 9" in resizer.rewrite({3: 5, 6: 9})


def test_arithmetic_constants_count_as_their_value():
    program = "n = 1 << 4\nk = 64 * 64\ndef get_inputs():\n    return [torch.randn(k, n)]\n"
    assert "k = 37" in Resizer(program, {4096}).rewrite({4096: 37})


@settings(max_examples=50)
@given(
    shape=st.lists(st.sampled_from([2, 3, 4, 8, 12, 16, 30, 64, 96, 512, 8192]), min_size=1, max_size=5),
    style=st.sampled_from(list(Style)),
    rule=st.sampled_from(list(Rule)),
)
def test_shapes_are_mapped_value_by_value(shape, style, rule):
    program = f"def get_inputs():\n    return [torch.randn({shape})]\n"
    for variant in Resizer(program, set(shape)).variants(style, rule):
        sizes = dict(variant.sizes)
        assert shape_of(variant.program) == [sizes.get(extent, extent) for extent in shape]
        assert all(extent >= 2 for extent in sizes.values())


@settings(max_examples=50)
@given(
    values=st.lists(st.integers(2, 600), min_size=2, max_size=4, unique=True),
    style=st.sampled_from(list(Style)),
)
def test_divisible_stays_divisible(values, style):
    program = f"def get_inputs():\n    return [torch.randn({values})]\n"
    smallest = min(values)
    for variant in Resizer(program, set(values)).variants(style, Rule.DIVISIBLE):
        sizes = dict(variant.sizes)
        for value in values:
            divisors = [other for other in values if other < value and value % other == 0]
            if divisors == [smallest]:
                assert sizes[value] % sizes[smallest] == 0


def test_products_sums_ratios_and_literals_are_kept_by_their_rules():
    def first(values, rule, body=""):
        program = f"def get_inputs():\n    return [torch.randn({values})]\n"
        program += f"def fused_operator(x):\n    {body or 'pass'}\n"
        return dict(next(Resizer(program, set(values)).variants(Style.RAGGED, rule)).sizes)

    product = first([20, 30, 600], Rule.DIVISIBLE)
    assert product[600] == product[20] * product[30]
    total = first([20, 30, 50], Rule.SUM)
    assert total[50] == total[20] + total[30]
    ratio = first([24, 96], Rule.RATIO)
    assert ratio[96] == 4 * ratio[24]
    assert first([96], Rule.LITERAL, "return torch.group_norm(x, 12)")[96] % 12 == 0


def test_ragged_sizes_lie_off_the_blocks_and_aligned_ones_on_them():
    program = "def get_inputs():\n    return [torch.randn(1048576)]\n"
    resizer = Resizer(program, {1048576})
    ragged = [dict(item.sizes)[1048576] for item in resizer.variants(Style.RAGGED, Rule.INDEPENDENT)]
    aligned = [dict(item.sizes)[1048576] for item in resizer.variants(Style.ALIGNED, Rule.INDEPENDENT)]
    assert ragged[:3] == [1000, 4133, 129]
    assert all(size % 32 for size in ragged)
    assert aligned[:2] == [1024, 2048]
    assert all(math.log2(size).is_integer() for size in aligned)


def test_with_sizes_sets_constants_by_name():
    program = "m, n = 1024, 1 << 20\nk = m * 2\nname = 'm'\n"
    assert with_sizes(program, {"n": 45, "m": 37}) == "m, n = (37, 45)\nk = m * 2\nname = 'm'\n"


@pytest.mark.parametrize("name", ["k", "name", "missing"])
def test_with_sizes_refuses_what_is_no_constant(name):
    with pytest.raises(ProgramError, match=f"no integer constant named {name}"):
        with_sizes("m = 4\nk = m * 2\nname = 'm'\n", {name: 3})
