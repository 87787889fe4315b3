"""Splits go by the operators alone."""

from data.generator import combinations
from data.operators.registry import OPERATORS
from data.settings import DataSettings
from data.splits import split_of
from evaluation.problem import Split

SETTINGS = DataSettings()


def test_a_quarter_of_the_combinations_is_held_out():
    names = combinations(OPERATORS, 2, structured=False) + combinations(OPERATORS, 3, structured=False)
    splits = [split_of(combination, SETTINGS) for combination in names]
    assert 0.22 < splits.count(Split.HELDOUT) / len(names) < 0.28
    assert 0.03 < splits.count(Split.VALIDATION) / len(names) < 0.07


def test_the_split_does_not_depend_on_the_order_of_the_operators():
    assert split_of(("relu", "add", "sum"), SETTINGS) is split_of(("sum", "relu", "add"), SETTINGS)


def test_single_operators_of_the_table_train_and_others_go_by_hash():
    assert {split_of((name,), SETTINGS) for name in OPERATORS} == {Split.TRAIN}
    foreign = {split_of((f"operator{number}",), SETTINGS) for number in range(40)}
    assert foreign == set(Split)


def test_another_split_seed_gives_other_splits_and_the_night_does_not():
    names = combinations(OPERATORS, 2, structured=False)
    other = SETTINGS.model_copy(update={"split_seed": 1})
    assert [split_of(item, SETTINGS) for item in names] != [split_of(item, other) for item in names]
    renamed = SETTINGS.model_copy(update={"seed": 7})
    assert [split_of(item, SETTINGS) for item in names] == [split_of(item, renamed) for item in names]
