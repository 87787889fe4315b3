"""Drawing extents: ranges, a seed, and no extent beyond the shipped one."""

import random
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from evaluation.programs.sizes import RUNGS, aligned, filled, rungs, small, tiny

SEEDS = st.integers(0, 10**6).map(random.Random)
EXTENTS = st.lists(st.sampled_from([17, 24, 64, 100, 512, 1024, 4096, 1 << 20]), min_size=1, max_size=5)


def test_draws_differ_by_seed_and_are_the_same_for_the_same():
    drawn = {tuple(small(2, random.Random(seed))) for seed in range(20)}
    assert len(drawn) > 15
    assert rungs(1 << 22, random.Random(5)) == rungs(1 << 22, random.Random(5))
    assert rungs(1 << 22, random.Random(5)) != rungs(1 << 22, random.Random(6))


@given(st.integers(1, 6), SEEDS)
def test_small_sizes_are_some_thousand_elements_and_off_the_blocks(count, rng):
    drawn = small(count, rng)
    assert len(drawn) == count and min(drawn) >= 2
    assert prod(drawn) <= 2048 * 2 ** max(0, count - 2) * 1.3
    assert any(extent % 8 for extent in drawn)


def test_two_small_sizes_are_hardly_ever_equal():
    assert sum(len(set(small(2, random.Random(seed)))) == 1 for seed in range(200)) <= 2


@given(st.integers(17, 1 << 24), SEEDS)
def test_rungs_pass_every_usual_constant_and_at_last_the_shipped_extent(shipped, rng):
    drawn = rungs(shipped, rng)
    assert drawn == sorted(drawn)
    if shipped <= RUNGS[-1]:
        assert shipped < drawn.pop() <= shipped * 1.04 + 8
    assert all(extent < shipped for extent in drawn)
    for constant in (32, 64, 128, 256, 1024, 4096, 65535, 200_000):
        assert any(extent > constant for extent in drawn) or constant * 1.12 >= shipped
    if 40 <= shipped <= RUNGS[-1]:
        assert drawn[-1] >= shipped / 1.21 - 1


@given(st.integers(1, 6), st.integers(2, 8), SEEDS)
def test_tiny_sizes_are_a_few_elements(count, least, rng):
    drawn = tiny(count, rng, least)
    assert len(drawn) == count and all(least <= extent <= least + 5 for extent in drawn)


@given(EXTENTS, st.sampled_from(RUNGS[4:]), SEEDS)
def test_large_sizes_make_the_elements_that_are_asked_for(shipped, elements, rng):
    drawn = filled(elements, shipped, rng)
    assert all(extent <= most for extent, most in zip(drawn, shipped, strict=True))
    if 2 * elements < prod(extent - 1 for extent in shipped) / 1.1 ** len(shipped):
        assert elements / 2 <= prod(drawn) <= 2 * elements * 3 ** len(shipped)


@given(st.sampled_from(RUNGS[4:]), SEEDS)
def test_a_large_matrix_has_no_fewer_elements_than_asked_for(elements, rng):
    assert prod(filled(elements, [4096, 4096], rng)) >= elements


@given(EXTENTS, st.integers(1, 7), SEEDS)
def test_aligned_sizes_are_as_round_as_shipped(shipped, bits, rng):
    drawn = aligned(shipped, rng, bits)
    most = bits if len(shipped) > 1 else 2 * bits
    for extent, other in zip(shipped, drawn, strict=True):
        block = min(extent & -extent, 1 << most)
        assert block == 1 or (other % block == 0 and other <= extent)
