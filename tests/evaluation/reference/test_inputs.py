"""Wider inputs than a program's own."""

import pytest
import torch

from evaluation.reference.draw import Kind
from evaluation.reference.inputs import Generator, attempts, wider


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OWN])
def test_no_draw_holds_a_negative_zero(kind):
    """A maximum by integer atomics tells zeros apart, PyTorch does not."""
    generator = Generator(0, "cpu")
    own, again = torch.rand(64, 33), torch.rand(64, 33)
    for width in attempts(kind):
        (drawn,) = wider([own], [again], width, generator)
        assert not (torch.signbit(drawn) & (drawn == 0)).any()
