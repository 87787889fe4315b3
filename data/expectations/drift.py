"""Is this night's data like that which the champion was trained on? Warnings only: change may be meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from data.expectations.suite import Check, Table
from evaluation.problem import Split

PROFILE = "data.json"
"""The file that keeps a night's profile."""
_DIVERGENCE = 0.25
"""Largest relative entropy of the operators, in nats: 0 for the same shares, 0.7 where half are new."""
_FACTOR = 1.5
"""How far the mean length of the prompts may be from the champion's."""


def profile_of(problems: pd.DataFrame, prompts: pd.DataFrame) -> dict[str, Any]:
    """What a later night compares itself with: shares of the operators and lengths, of what is trained on."""
    operators = _operators(problems)["operator"].value_counts(normalize=True)
    trained = _trained(prompts)["characters"]
    return {
        "operators": {str(name): float(share) for name, share in sorted(operators.items())},
        "characters": float(trained.mean()) if len(trained) else 0.0,
        "problems": len(_trained(problems)),
    }


def read_profile(path: Path) -> dict[str, Any] | None:
    """The profile of an earlier night, if it was kept and can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("operators", "characters", "problems")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def drift_tables(problems: pd.DataFrame, prompts: pd.DataFrame, before: Mapping[str, Any]) -> list[Table]:
    """What is trained on, compared with an earlier profile."""
    names, weights = list(before["operators"]), list(before["operators"].values())
    partition = {"values": names, "weights": weights}
    operators = {
        "no_new_operators": Check.among("operator", *names),
        "no_operators_lost": Check.of(
            "ExpectColumnDistinctValuesToContainSet", column="operator", value_set=names
        ),
        "shares_of_operators": Check.of(
            "ExpectColumnKLDivergenceToBeLessThan",
            column="operator",
            partition_object=partition,
            threshold=_DIVERGENCE,
            tail_weight_holdout=0.02,
        ),
    }
    length, count = before["characters"], before["problems"]
    lengths = {
        "length_of_prompts": Check.of(
            "ExpectColumnMeanToBeBetween",
            column="characters",
            min_value=length / _FACTOR,
            max_value=length * _FACTOR,
        ),
        "number_of_prompts": Check.of(
            "ExpectTableRowCountToBeBetween", min_value=int(count / 2), max_value=2 * count
        ),
    }
    return [
        Table("drift of operators", _operators(problems), {}, operators),
        Table("drift of prompts", _trained(prompts), {}, lengths),
    ]


def _trained(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["split"] == Split.TRAIN.value]


def _operators(problems: pd.DataFrame) -> pd.DataFrame:
    """One row for every operator of every training problem."""
    trained = _trained(problems)[["id", "combination"]]
    return trained.assign(operator=trained["combination"].str.split("+")).explode("operator")
