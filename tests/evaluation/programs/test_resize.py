"""Rewriting size constants: what is preserved, and which numbers are sizes at all."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.programs.resize import Place, Resizer, Rule, related

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


def by_name(resizer):
    return {size.name: size for size in resizer.sizes}


def rewritten(resizer, new):
    """The program with all sizes of each old value replaced."""
    return resizer.rewrite({size: new[size.value] for size in resizer.sizes if size.value in new})


def places(program, dimensions=()):
    return {size.name or size.value: size.place for size in Resizer(program, dimensions).sizes}


def test_the_body_follows_where_a_literal_is_a_size_and_only_there():
    resizer = Resizer(LITERALS, {7, 1, 64})
    shape = next(size for size in resizer.sizes if size.value == 64 and size.place is Place.INPUTS)
    program = resizer.rewrite({shape: 45})
    assert "(49, 45)" in program and "torch.zeros(45)" in program and "(45,)" in program
    assert "/ 64" in program and "eps=1e-05" in program


def test_what_a_program_computes_from_its_constants_is_left_to_it():
    resizer = Resizer(ATTENTION, {2, 16, 512})
    program = rewritten(resizer, {512: 40, 2: 3})
    assert "batch, heads, hidden = (3, 8, 40)" in program
    assert "hidden // heads" in program and "** 2" in program and "dim=2" in program


def test_sizes_are_found_in_lists_dictionaries_and_what_others_are_computed_from():
    program = """
quarter = 1 << 8
cols = quarter * 4
hidden = [8192, 4096]
CFG = {'rows': 1024, 'conv': {'kernel_size': 3, 'width': 96}}
def get_inputs():
    return [torch.randn(CFG['rows'], cols)]
def get_init_inputs():
    return [hidden, CFG['conv']]
"""
    assert places(program) == {
        "quarter": Place.INPUTS, "hidden[0]": Place.MODULE, "hidden[1]": Place.MODULE,
        "CFG[rows]": Place.INPUTS, "CFG[conv][width]": Place.INPUTS,
    }  # fmt: skip
    changed = rewritten(Resizer(program, ()), {256: 5, 4096: 7, 1024: 9})
    assert "quarter = 5" in changed and "quarter * 4" in changed
    assert "[8192, 7]" in changed and "'rows': 9" in changed


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("kernel_size", None), ("conv_stride", None), ("padding", None), ("poolKernel", None),
        ("num_groups", Place.GROUPS), ("groups", Place.GROUPS),
        ("group_size", Place.INPUTS), ("padded_n", Place.INPUTS), ("kernels", Place.INPUTS),
    ],
)  # fmt: skip
def test_names_of_windows_and_groups_count_as_whole_parts(name, place):
    program = f"{name} = 48\ndef get_inputs():\n    return [torch.randn({name})]\n"
    assert places(program).get(name) is place


def test_constants_of_one_value_may_differ_by_name_where_launch_lines_can_name_them():
    program = "rows = cols = 1024\ndef get_inputs():\n    return [torch.randn(rows, cols, 1024)]\n"
    resizer = Resizer(program, {1024})
    apart, together = (resizer.grouped(resizer.sizes, free) for free in (True, False))
    assert [[size.name for size in group] for group in apart] == [["rows", ""], ["cols"]]
    assert len(together) == 1
    names = by_name(resizer)
    assert resizer.rewrite({names["rows"]: 3, names["cols"]: 5}).startswith("rows = 3\ncols = 5\n")
    local = "def get_inputs():\n    rows, cols = 1024, 1024\n    return [torch.randn(rows, cols)]\n"
    assert len(Resizer(local, {1024}).grouped(Resizer(local, {1024}).sizes, True)) == 1


def test_the_sides_of_an_image_stay_equal():
    program = "batch, height, width = 128, 128, 128\n"
    program += "def get_inputs():\n    return [torch.randn(batch, height, width)]\n"
    resizer = Resizer(program, {128})
    apart = [[size.name for size in group] for group in resizer.grouped(resizer.sizes, True)]
    assert apart == [["batch"], ["height", "width"]]


def test_groups_follow_the_channels_that_they_are_equal_to():
    program = "channels = 64\ngroups = 64\ndef get_inputs():\n    return [torch.randn(channels, groups)]\n"
    resizer = Resizer(program, {64})
    assert len(resizer.grouped(resizer.sizes, True)) == 1
    usual = next(resizer.scopes())
    assert [size.name for size in usual] == ["channels"] and resizer.fixed(usual) == {64}


def test_constants_that_make_no_dimension_come_last():
    program = """
width, divisor = 512, 96
def get_inputs():
    return [torch.randn(width)]
def get_init_inputs():
    return [divisor]
"""
    scopes = [[size.name for size in scope] for scope in Resizer(program, {512}).scopes()]
    assert scopes[0] == ["width"] and scopes[1] == ["width", "divisor"]


def test_widths_of_layers_are_sizes_of_last_resort():
    program = """
class Model:
    def __init__(self, hidden=96):
        self.layers = [Block(64, 128) for _ in range(3)] + [nn.Linear(128, 10)]
batch = 32
def get_inputs():
    return [torch.randn(batch, 64)]
"""
    resizer = Resizer(program, {32, 64, 96, 128, 10})
    scopes = [{size.value for size in scope} for scope in resizer.scopes()]
    assert scopes == [{32, 64, 96}, {32}, {64}, {32, 64, 96, 128}]
    changed = resizer.rewrite({size: 3 for size in list(resizer.scopes())[-1]})
    assert "hidden=3" in changed and "Block(3, 3)" in changed and "Linear(3, 10" in changed
    assert "batch = 3\n" in changed


@settings(max_examples=50)
@given(values=st.lists(st.integers(2, 600), min_size=1, max_size=5), rule=st.sampled_from(list(Rule)))
def test_equal_stays_equal_under_every_rule(values, rule):
    targets = {value: 3 + value % 41 for value in values}
    for ragged in (True, False):
        new = related(rule, [(value, targets[value]) for value in values], {2, 12}, ragged)
        assert all(extent >= 1 for extent in new)
        assert len(set(zip(values, new, strict=True))) == len(set(values))


@settings(max_examples=50)
@given(values=st.lists(st.integers(2, 600), min_size=2, max_size=4, unique=True), ragged=st.booleans())
def test_divisible_stays_divisible(values, ragged):
    smallest = min(values)
    new = dict(zip(values, related(Rule.DIVISIBLE, [(v, 37) for v in values], (), ragged), strict=True))
    for value in values:
        divisors = [other for other in values if other < value and value % other == 0]
        if divisors == [smallest]:
            assert new[value] % new[smallest] == 0


def test_products_sums_ratios_literals_and_blocks_are_kept_by_their_rules():
    def changed(rule, values, fixed=(), only=None):
        targets = [(value, 5 + index) for index, value in enumerate(values)]
        return dict(zip(values, related(rule, targets, fixed, True, only), strict=True))

    product = changed(Rule.DIVISIBLE, [20, 30, 600])
    assert product[600] == product[20] * product[30]
    total = changed(Rule.SUM, [20, 30, 50])
    assert total[50] == total[20] + total[30]
    ratio = changed(Rule.RATIO, [24, 96])
    assert ratio[96] == 4 * ratio[24]
    assert changed(Rule.LITERAL, [96], fixed={12})[96] % 12 == 0
    assert changed(Rule.LITERAL, [96, 24], fixed={12}, only=96) == {96: 36, 24: 6}
    assert changed(Rule.BLOCKS, [64, 8]) == {64: 16, 8: 6}


def test_windows_and_divisors_are_left_out_of_what_literals_divide():
    resizer = Resizer(ATTENTION, {2, 16, 512})
    assert {2, 8} <= resizer.fixed([by_name(resizer)["hidden"]])
    assert re.search(r"\b512\b", resizer.rewrite({})) is not None


@pytest.mark.parametrize(
    ("shapes", "changed"),
    [
        ("randn(n, 3, height, width), torch.randn(64, 3, 3, 3)", "randn(64, 5, 3, 3)"),
        ("randn([16, 3, 224, 224]), torch.randn([64, 3, 7, 7])", "randn([64, 5, 7, 7])"),
        ("randn(16, 3, 9000), torch.rand(3, 1, 5)", "rand(5, 1, 5)"),
        ("randn(3, 64, 8, 8), torch.randn(3, 64, 8, 8)", "randn(5, 64, 6, 6)"),
    ],
)
def test_windows_of_drawn_weights_stay(shapes, changed):
    program = f"n, height, width = 16, 224, 224\ndef get_inputs():\n    return [torch.{shapes}]\n"
    resizer = Resizer(program, {16, 3, 224, 64, 7, 9000, 5, 8})
    new = {3: 5, 7: 4, 8: 6, 5: 11}
    assert changed in rewritten(resizer, new)
