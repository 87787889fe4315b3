"""Signatures as text."""

import pytest

from data.operators.extents import c_text
from data.operators.signature import parse


def test_a_signature_is_read_whole():
    read = parse("x[..., groups * c], index[m]: int64 -> out[..., p = max(c - 2, 1)], scale[]")
    x, index = read.operands
    out, scale = read.results
    assert (x.name, x.leading, [c_text(extent) for extent in x.shape]) == ("x", True, ["groups * c"])
    assert (index.dtype, index.leading, x.dtype) == ("int64", False, None)
    assert [(name, c_text(extent)) for name, extent in out.named] == [("p", "max(c - 2, 1)")]
    assert scale.shape == ()
    assert read.names == ("c", "groups", "m")


@pytest.mark.parametrize("text", ["x[m]", "x[m] y -> out[m]", "x[m, -> out[m]", "x[a b] -> out[m]"])
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)
