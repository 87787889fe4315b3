"""SFT and GRPO with adapters: what their checkpoints hold, how they go on and what they leave."""

import json
from pathlib import Path

import pytest
import torch
from megatron.core import dist_checkpointing
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.training.night import assert_same_weights, conversations, metrics, weights, write_rows
from tests.training.test_grpo import job as grpo_job
from tests.training.tiny import one_process
from training import grpo, sft
from training.checkpoint.commands import to_hf
from training.model.lora import is_adapter
from training.settings.jobs import MegatronSettings, SftJob, TrainingSettings
from training.settings.optimization import SftSettings

LORA = MegatronSettings(nproc_per_node=1, lora_rank=4, lora_alpha=8.0)


def sft_job(folder: Path, out_dir: Path) -> SftJob:
    settings = SftSettings(
        steps=3, batch_size=8, micro_batch_size=8, lr=2e-2, save_every=1, warmup_steps=0, keep_checkpoints=9
    )
    return SftJob(
        settings=TrainingSettings(megatron=LORA, sft=settings),
        checkpoint=folder / "torch_dist",
        rows=write_rows(folder / "sft.jsonl", conversations()),
        out_dir=out_dir,
    )


def run(module, job) -> None:
    with one_process():
        module.train(job)


def test_sft_keeps_adapters_goes_on_from_them_and_leaves_both_forms(folder, tmp_path):
    straight = sft_job(folder, tmp_path / "straight")
    run(sft, straight)
    history = metrics(straight.out_dir)
    assert all("perf/mfu" in json.loads(line) for line in (straight.out_dir / "metrics.jsonl").open())
    assert history[-1]["train/loss"] < history[0]["train/loss"]
    for snapshot in (straight.out_dir / "checkpoints").glob("step_*"):
        stored = dist_checkpointing.load_tensors_metadata(str(snapshot))
        assert stored
        assert all(is_adapter(name) for name in stored), sorted(stored)

    broken = sft_job(folder, tmp_path / "broken")
    run(sft, broken)
    (broken.out_dir / "checkpoints" / "step_000003" / "progress.json").write_text("{")
    (broken.out_dir / "checkpoints" / "step_000002" / "progress.json").write_text("{")
    run(sft, broken)
    assert_same_weights(straight.out_dir / "torch_dist", broken.out_dir / "torch_dist")
    assert metrics(broken.out_dir) == history

    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    merged = (
        PeftModel.from_pretrained(base, straight.out_dir / "torch_dist" / "adapter")
        .merge_and_unload()
        .state_dict()
    )
    before, after = weights(folder / "torch_dist"), weights(straight.out_dir / "torch_dist")
    for name, value in after.items():
        torch.testing.assert_close(value, merged[name], atol=1e-6, rtol=1e-5, msg=name)
        assert torch.equal(value, before[name]) == ("proj" not in name), name


def test_grpos_engine_has_the_merged_policy_and_the_reference_is_the_base(folder, tmp_path):
    changes = {"steps": 3, "kl_coefficient": 0.1, "minibatches": 1, "lr": 5e-2}
    job = grpo_job(folder, tmp_path / "whole", grpo=changes)
    job = job.model_copy(update={"settings": job.settings.model_copy(update={"megatron": LORA})})
    run(grpo, job)
    rows = metrics(job.out_dir)
    assert rows[0]["train/kl"] == pytest.approx(0, abs=1e-8)
    assert rows[-1]["train/kl"] > 1e-6
    assert all(row["train/logprob_difference"] < 1e-4 for row in rows)
    logged = [json.loads(line) for line in (job.out_dir / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < row["perf/mfu"] < 1 and row["perf/memory_peak_gib"] > 0 for row in logged)
    to_hf(job.out_dir / "torch_dist", tmp_path / "model")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "model").state_dict()
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    merged = PeftModel.from_pretrained(base, tmp_path / "model" / "adapter").merge_and_unload().state_dict()
    for name, value in exported.items():
        torch.testing.assert_close(value, merged[name], atol=1e-6, rtol=1e-5, msg=name)
