"""GRPO with a real SGLang server that generates, on the CPU: a whole short run, as a night has it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from evaluation.settings import EvaluationSettings
from tests.training.night import base_checkpoint, conversations, metrics, write_rows
from training.launch.local import run_job
from training.settings.jobs import GrpoJob, MegatronSettings, TrainingSettings
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings
from training.settings.sglang import SglangSettings

MISSING = importlib.util.find_spec("sglang") is None
pytestmark = [
    pytest.mark.sglang,
    pytest.mark.slow,
    pytest.mark.skipif(MISSING, reason="needs the SGLang server: make sglang"),
]
STEPS = 6


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory) -> Path:
    """What a run of two data-parallel ranks and one server leaves."""
    folder = tmp_path_factory.mktemp("served")
    rows = [{"prompt": row["messages"][:1], "label": f"p{i}"} for i, row in enumerate(conversations())]
    job = GrpoJob(
        settings=TrainingSettings(
            megatron=MegatronSettings(nproc_per_node=2),
            grpo=GrpoSettings(
                steps=STEPS,
                prompts_per_step=4,
                samples_per_prompt=8,
                minibatches=2,
                lr=1e-2,
                warmup_steps=1,
                save_every=3,
                micro_batch_size=8,
                mismatch_tolerance=1e-5,
            ),
            rollout=RolloutSettings(
                engine="sglang",
                max_new_tokens=24,
                reward_function="tests.training.reward_for_tests:letter",
                weight_check_interval=1,
            ),
            sglang=SglangSettings(device="cpu", max_total_tokens=4000, sleep_on_idle=True),
        ),
        evaluation=EvaluationSettings(),
        checkpoint=base_checkpoint(folder),
        prompts=write_rows(folder / "prompts.jsonl", rows),
        problems=write_rows(folder / "problems.jsonl", []),
        out_dir=folder / "out",
    )
    run_job("training.grpo", job, job.out_dir, 2)
    return job.out_dir


def test_every_rollout_is_of_the_newest_weights(out_dir):
    rows = metrics(out_dir)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert {row["rollout/staleness_max"] for row in rows} == {0.0}
    assert {row["rollout/samples"] for row in rows} == {32.0}


def test_trainer_and_server_agree_on_every_probability(out_dir):
    """In float32; weights that did not arrive would differ by far more."""
    assert max(row["train/logprob_difference"] for row in metrics(out_dir)) < 1e-5


def test_it_learns(out_dir):
    """The share of one letter, which random weights write now and then."""
    rewards = [row["reward/mean"] for row in metrics(out_dir)]
    assert sum(rewards[-2:]) > 1.5 * sum(rewards[:2]) > 0


def test_it_leaves_the_model_its_log_and_no_process(out_dir):
    assert (out_dir / "torch_dist" / "metadata.json").is_file()
    log = (out_dir / "engine" / "sglang-0.log").read_text()
    assert "update_weights" in log
    folder = str(out_dir.parent)
    alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if folder in _read(path)]
    assert alive == []


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""
