"""How sequences are divided over ranks and micro-batches."""

from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from training.optimize.balance import balance, chunks, deal, fill, sequence_cost

lengths = st.lists(st.integers(1, 500), min_size=1, max_size=40)


@given(lengths, st.integers(1, 6))
def test_ranks_share_the_work_evenly_and_completely(sizes, ranks):
    for shares in (deal(sizes, ranks), balance(sizes, ranks)):
        assert sorted(index for share in shares for index in share) == list(range(len(sizes)))
        work = [sum(sizes[index] for index in share) for share in shares]
        assert max(work) - min(work) <= max(sizes)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(1, 3))
def test_the_dearest_rank_is_within_a_third_of_the_least_possible(sizes, ranks):
    def dearest(owners):
        return max(
            sum(size for size, owner in zip(sizes, owners, strict=True) if owner == rank)
            for rank in range(ranks)
        )

    least = min(map(dearest, product(range(ranks), repeat=len(sizes))))
    assert max(sum(sizes[index] for index in share) for share in balance(sizes, ranks)) <= 4 / 3 * least


@given(lengths, st.integers(1, 600))
def test_bins_hold_what_fits_and_are_few(sizes, capacity):
    bins = fill(range(len(sizes)), sizes, capacity)
    assert sorted(index for one in bins for index in one) == list(range(len(sizes)))
    sums = [sum(sizes[index] for index in one) for one in bins]
    assert all(total <= capacity or len(one) == 1 for total, one in zip(sums, bins, strict=True))
    # Any two bins together overflow, so at most one is less than half full.
    assert all(a + b > capacity for a, b in pairwise(sorted(sums)))


def test_dealt_shares_fall_in_length():
    sizes = [5, 1, 9, 7, 3, 8, 2]
    assert all(sizes[a] >= sizes[b] for share in deal(sizes, 3) for a, b in pairwise(share))


def test_chunks_keep_the_order():
    assert chunks([4, 2, 5], 2) == [[4, 2], [5]]


def test_a_long_sequence_costs_more_than_its_tokens():
    assert sequence_cost(200, 100.0) == 3 * sequence_cost(100, 100.0)
