"""Promotion against a real registry: aliases, kept copies, and that repeating it changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.context import Context
from tasks.hashing import path_md5
from tasks.layout import Layout, Stage
from tasks.manifest import Manifest
from tasks.night import open_night
from tasks.profile import load_profile
from tasks.promotion import promote
from tasks.registry import Registry
from tasks.tracking import Tracking
from tests.tasks import tiny_steps


@pytest.fixture
def layout(checkout):
    return Layout(Path(), "cpu")


@pytest.fixture
def registry(layout):
    return Registry(Tracking(layout))


def trained(layout, registry, name, weights):
    """A night whose model holds `weights` and whose benchmark is the tiny one."""
    night = open_night(layout, name, registry.champion)
    model = layout.stage(Stage.EXPORT) / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "w").write_text(weights)
    context = Context(Stage.EVALUATE, layout, load_profile(layout), night)
    if not context.out.exists():
        context.out.mkdir(parents=True)
        tiny_steps.evaluate(context)
    Manifest(
        stage="evaluate", profile="cpu", inputs={}, config_hash="", code_revision="", mlflow_run_id="r",
        seconds=1, metrics={},
    ).write(layout.manifest(Stage.EVALUATE))  # fmt: skip
    return night


def test_the_first_model_is_kept_and_becomes_champion_and_challenger(layout, registry):
    night = trained(layout, registry, "first", "one")
    assert promote(layout, night, registry).decision.promote
    champion = registry.champion()
    assert champion.night == "first" and (layout.root / champion.model / "w").read_text() == "one"
    assert champion.md5 == path_md5(layout.root / champion.model)
    aliases = registry._client.search_registered_models()[0].aliases
    assert {name: int(version) for name, version in aliases.items()} == {"challenger": 1, "champion": 1}
    assert registry.champion_benchmark(champion).problems == 2


def test_repeating_a_promotion_changes_nothing_even_when_its_record_is_lost(layout, registry):
    night = trained(layout, registry, "first", "one")
    first = promote(layout, night, registry)
    assert promote(layout, night, registry) == first
    layout.decision("first").unlink()
    assert promote(layout, night, registry).version == first.version
    layout.decision("first").write_text("{")
    assert promote(layout, night, registry).version == first.version


def test_the_next_night_starts_from_the_champion_and_is_promoted_by_its_own_comparison(layout, registry):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    night = trained(layout, registry, "second", "two")
    assert night.champion.night == "first"
    assert promote(layout, night, registry).decision.promote  # the tiny benchmark gains beyond its noise
    assert registry.champion().night == "second"
    assert (layout.models / "first").is_dir()


def test_another_model_of_the_same_quality_is_a_challenger_only(layout, registry):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    promotion = promote(layout, trained(layout, registry, "first", "other"), registry)
    assert not promotion.decision.promote and promotion.version == "2"
    assert registry.champion().md5 != path_md5(layout.stage(Stage.EXPORT) / "model")


def test_a_champion_without_its_folder_is_named(layout, registry):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    layout.models.rename(layout.home / "gone")
    with pytest.raises(WarpsmithError, match="champion's folder"):
        registry.champion()


def test_a_night_without_a_benchmark_has_nothing_to_promote(layout, registry):
    night = open_night(layout, "first", lambda: None)
    with pytest.raises(WarpsmithError, match="no benchmark yet"):
        promote(layout, night, registry)
