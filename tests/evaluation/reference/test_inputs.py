"""Wider inputs than a program's own."""

import pytest
import torch

from evaluation.reference.draw import Kind
from evaluation.reference.inputs import Far, Generator, attempts, wider


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OWN])
def test_no_draw_holds_a_negative_zero(kind):
    """A maximum by integer atomics tells zeros apart, PyTorch does not."""
    generator = Generator(0, "cpu")
    own, again = torch.rand(64, 33), torch.rand(64, 33)
    for width in attempts(kind):
        (drawn,) = wider([own], [again], width, generator)
        assert not (torch.signbit(drawn) & (drawn == 0)).any()


@pytest.mark.parametrize(("kind", "sign"), [(Kind.BELOW, -1), (Kind.ABOVE, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("far", [Far.SLICES, Far.ALL])
def test_rows_and_columns_lie_beyond_what_a_maximum_may_start_at(kind, sign, dtype, far):
    own, again = torch.rand(24, 33).to(dtype), torch.rand(24, 33).to(dtype)
    (width,) = [width for width in attempts(kind, "x.amax(1)") if width.far is far]
    (drawn,) = wider([own], [again], width, Generator(0, "cpu"))
    nearest = (sign * drawn.float()).amin(0), (sign * drawn.float()).amin(1)
    assert all((values > 10_000).any() for values in nearest)
    assert (drawn.abs() < 10_000).any() == (far is Far.SLICES)


def test_nothing_is_far_where_a_program_compares_nothing():
    assert all(width.far is Far.NOTHING for kind in Kind for width in attempts(kind, "torch.exp(x)"))


def test_scores_of_attention_are_far_below_zero():
    (width,) = [one for one in attempts(Kind.ABOVE, "torch.softmax(q @ k.T)") if one.far is Far.FACTORS]
    own, again = [torch.randn(16, 8) for _ in range(2)], [torch.randn(16, 8) for _ in range(2)]
    q, k = wider(own, again, width, Generator(0, "cpu"))
    assert (q @ k.T / 8**0.5 < -1_000).all(dim=1).any()
