"""The table of math rows: questions whose answers are whole numbers."""

from __future__ import annotations

import pandas as pd

from data.expectations.prompts import questions_table
from data.expectations.suite import Check, Table

_MOST_DIGITS = 20
"""Of an answer: what a model writes out and a reward compares."""


def math_table(rows: pd.DataFrame) -> Table:
    """Questions of which each has a whole number as its answer."""
    table = questions_table(rows)
    whole = Check.of("ExpectColumnValuesToMatchRegex", column="problem", regex=rf"^-?\d{{1,{_MOST_DIGITS}}}$")
    short = Check.of("ExpectColumnValueLengthsToBeBetween", column="problem", max_value=10)
    varied = Check.of("ExpectColumnProportionOfUniqueValuesToBeBetween", column="problem", min_value=0.01)
    warning = {**table.warning, "short_answers": short, "varied_answers": varied}
    return Table("math", rows, {**table.critical, "whole_numbers": whole}, warning)
