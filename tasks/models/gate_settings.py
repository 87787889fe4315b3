"""What only the flow reads: the sections `gate:` and `budget:` of a profile, which may be left out."""

from __future__ import annotations

from pydantic import Field

from evaluation.marks import Machine
from evaluation.problem import Frozen


class GateSettings(Frozen):
    """The rules of promotion. No stage reads them, so changing one trains nothing again."""

    correct_margin: Machine[float] = Field(default=0.02, ge=0, le=1)
    """By how much correct@1 may be worse, at the lower end of its interval, where speed became better."""
    max_cheated: Machine[float] = Field(default=0.01, ge=0, le=1)
    """Largest share of the model's kernels that may have been caught cheating."""
    approval: Machine[bool] = False
    """Whether a person has to approve a promotion: `python -m tasks.registry approve`."""
    trusted_nights: Machine[int] = Field(default=5, ge=2)
    """So many trusted nights are needed before a night can drift from them."""
    corridor_width: Machine[float] = Field(default=4.0, gt=0)
    """Half the corridor's width, in robust standard deviations of the trusted nights."""


class BudgetSettings(Frozen):
    """What a night may use, over all its starts: the `budget:` section of a profile."""

    hours: Machine[float | None] = Field(default=None, gt=0)
    """Hours at work; none is as many as it takes."""
    gpu_hours: Machine[float | None] = Field(default=None, gt=0)
    """Hours of GPUs that the night holds; none is as many as it takes."""
