"""Which split an operator combination belongs to.

The split is a hash of the combination and a fixed seed, not a draw: it is the same on every night
and for every source, and an operator added to the table moves no existing combination.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data.operators.registry import chosen
from data.settings import DataSettings
from evaluation.problem import Split

if TYPE_CHECKING:
    from data.graph import Graph


def belongs(settings: DataSettings, split: Split, graph: Graph) -> bool:
    """Whether a graph's operators are in a split."""
    return split_of(graph.operators, settings) is split


def split_of_question(identity: str, settings: DataSettings) -> Split:
    """Split of a question by the hash of its text, where its source has none of its own."""
    return split_of((identity,), settings)


def split_of(operators: Sequence[str], settings: DataSettings) -> Split:
    """Split of every problem with these operators, in whatever order they are applied.

    A single operator that problems are drawn from always trains: composing unseen combinations is what
    is held out, and a model can only compose what it has met.
    """
    combination = sorted(operators)
    if len(combination) == 1 and combination[0] in chosen(settings.operators):
        return Split.TRAIN
    key = f"{settings.split_seed}/{'+'.join(combination)}"
    fraction = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if fraction < settings.heldout_share:
        return Split.HELDOUT
    if fraction < settings.heldout_share + settings.validation_share:
        return Split.VALIDATION
    return Split.TRAIN
