"""A night's pages are made of what its stages left, and compare with the night before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evaluation.report.summary import summarise
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.models.gate import Decision
from tasks.models.promotion import Promotion
from tasks.night import Night
from tasks.profile import load_profile
from tasks.report.morning import PAGE, TRAJECTORIES, training_prompts, write_pages
from tests.tasks.report.test_morning_page import PROBLEMS, ROLLOUTS, SAMPLES

RUNS = "/#/experiments/1/runs?workflowType=machine_learning"


@pytest.fixture
def layout(checkout):
    """A profile whose stages are done."""
    layout = Layout(Path(), "cpu")
    for stage in Stage:
        layout.stage(stage).mkdir(parents=True)
        Manifest(
            stage=stage, profile="cpu", inputs={"artifacts/cpu/prepare/problems.jsonl": "md5"},
            config_hash="c", code_revision="revision", mlflow_run_id=f"run-{stage}", seconds=1, metrics={},
        ).write(layout.manifest(stage))  # fmt: skip
    prepare, evaluate, grpo = (layout.stage(s) for s in (Stage.PREPARE, Stage.EVALUATE, Stage.GRPO))
    (prepare / "prompts").mkdir()
    (prepare / "problems.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in PROBLEMS))
    prompt = {"prompt": [{"role": "user", "content": "Write it."}], "metadata": {"problem_id": "p1"}}
    (prepare / "prompts" / "train.jsonl").write_text(json.dumps(prompt) + "\n")
    (evaluate / "responses.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in SAMPLES))
    (evaluate / "report.json").write_text(summarise(PROBLEMS, SAMPLES).model_dump_json())
    (grpo / "rollouts.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in ROLLOUTS))
    (grpo / "metrics.jsonl").write_text('{"step": 1, "reward/mean": 0.1}\n{"step": 2, "reward/mean": 0.2}\n')
    return layout


def write(layout, name):
    decision = Decision(promote=True, reason="promoted: so")
    promotion = Promotion(night=name, model_md5="m", report_md5="r", version="3", decision=decision)
    night = Night(name=name, champion=None)
    return write_pages(layout, load_profile(layout), night, promotion, RUNS)


def test_the_pages_are_written_and_the_second_night_names_the_first(layout, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    page = write(layout, "first")
    assert page == layout.report("first") / PAGE
    text = page.read_text()
    assert "promoted: so" in text and "<polyline" in text and "night first" not in text
    assert "http://mlflow:5000/#/experiments/1/runs/run-grpo" in text and "revision" in text
    rollouts = (layout.report("first") / TRAJECTORIES).read_text()
    assert "<pre>Write it.</pre>" in rollouts and "its prompt is not known any more" in rollouts
    os.utime(layout.report("first") / "report.json", (1, 1))
    assert "night first" in write(layout, "second").read_text()
    assert "night second" not in write(layout, "first").read_text()  # it is no night before it


def test_a_prompt_may_hold_a_line_separator_of_unicode(tmp_path):
    layout = Layout(tmp_path, "cpu")
    path = layout.stage(Stage.PREPARE) / "prompts" / "train.jsonl"
    path.parent.mkdir(parents=True)
    row = {"prompt": [{"role": "user", "content": "one\u2028two"}], "label": "p1", "metadata": {}}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert training_prompts(layout) == {"p1": "one\u2028two"}
