"""What an operand's values are, as the text of `get_inputs` that draws them.

A template has the operand's extents as `{shape}`, joined by commas. An operand of the domain `ANY` may also
be a value that another operator computed; every other is always an input of the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: What turns a float32 tensor into another floating-point dtype.
_CONVERSIONS = {"float32": "", "float16": ".half()", "bfloat16": ".bfloat16()"}


@dataclass(frozen=True)
class Domain:
    """The values of an operand."""

    text: str
    """PyTorch expression that draws them."""

    def draw(self, shape: str, dtype: str, dims: Mapping[str, str]) -> str:
        """The expression for a shape (its extents, joined by commas) in a dtype; `dims` are other extents."""
        text = self.text.format(shape=shape or "()", **dims)
        conversion = _CONVERSIONS.get(dtype, "")
        return text + conversion if text.endswith(")") or not conversion else f"({text}){conversion}"


ANY = Domain("torch.randn({shape})")
POSITIVE = Domain("torch.rand({shape}) + 0.5")
WIDE = Domain("torch.randn({shape}) * 4")
"""For functions that jump: a value that was computed may be rounded to the other side."""
NEAR_ONE = Domain("torch.rand({shape}) * 0.2 + 0.9")
"""For long products."""
INSIDE = Domain("torch.rand({shape}) * 1.8 - 0.9")
"""Within (-1, 1), off the ends."""
UNIT = Domain("torch.rand({shape})")
SIGN = Domain("torch.randn({shape}).sign()")
DISTRIBUTION = Domain("torch.rand({shape}).softmax(-1)")
LOG_DISTRIBUTION = Domain("torch.randn({shape}).log_softmax(-1)")
MASK = Domain("torch.rand({shape}) < 0.5")
RARE = Domain("torch.rand({shape}) < 0.02")
USUAL = Domain("torch.rand({shape}) < 0.98")
SYMMETRIC = Domain("torch.randn({shape}).cov()")
LOWER_TRIANGULAR = Domain("torch.randn({shape}).tril()")
UPPER_TRIANGULAR = Domain("torch.randn({shape}).triu()")


def below(dim: str) -> Domain:
    """Indices (int64) into a dimension of the operator."""
    return Domain(f"torch.randint(0, {{{dim}}}, [{{shape}}])")
