"""The health panel of a GRPO step: what a person looks at to see whether a run learns or goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from training.rollout.buffer import Collection, Sample
from training.rollout.rewards.rewards import mean_metrics
from training.rollout.rewards.timing import Seconds

#: Name of a sum over response tokens that the loss reports -> name under which its mean is logged.
_TOKEN_MEANS = {
    "entropy": "train/entropy",
    "ratio": "train/ratio",
    "clip_low": "train/clip_fraction_low",
    "clip_high": "train/clip_fraction_high",
    "clip_dual": "train/clip_fraction_dual",
    "kl": "train/kl",
    "mismatch": "train/logprob_difference",
    "importance": "train/importance",
    "importance_clipped": "train/importance_clip_fraction",
    "token_rejected": "train/token_reject_fraction",
}
#: The same for what the loss adds up by sequence.
_SEQUENCE_MEANS = {"sequence_rejected": "train/sequence_reject_fraction"}


def rollout_metrics(collection: Collection, version: int) -> dict[str, float]:
    """Rewards, kernels and responses of everything that was generated in a step.

    `version` is that of the current weights; staleness counts how many updates older the writer's were.
    """
    samples = [sample for group in collection.drawn for sample in group.samples]
    lengths = [len(sample.completion.token_ids) for sample in samples]
    staleness = [version - sample.completion.weight_version for sample in collection.samples]
    return {
        **mean_metrics([sample.reward for sample in samples]),
        "reward/std": float(np.std([sample.reward.value for sample in samples])),
        "rollout/zero_spread": float(np.mean([not group.has_spread for group in collection.drawn])),
        "rollout/response_length_mean": float(np.mean(lengths)),
        "rollout/response_length_max": float(max(lengths)),
        "rollout/truncated": float(np.mean([sample.truncated for sample in samples])),
        "rollout/samples": float(len(samples)),
        "rollout/tokens": float(sum(lengths)),
        "rollout/rounds": float(collection.rounds),
        "rollout/unused_groups": float(len(collection.surplus) + collection.given_up),
        "rollout/continued_groups": float(collection.continued),
        "rollout/staleness": float(np.mean(staleness)) if staleness else 0.0,
        "rollout/staleness_max": float(max(staleness, default=0)),
    }


def update_metrics(minibatches: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What `Trainer.step` returned for the minibatches of a step, as means over tokens or minibatches."""
    if not minibatches:
        return {"train/updates": 0.0}
    tokens = sum(sums["tokens"] for sums in minibatches)
    means = {
        logged: sum(sums[name] for sums in minibatches) / sum(sums[counted] for sums in minibatches)
        for counted, names in (("tokens", _TOKEN_MEANS), ("sequences", _SEQUENCE_MEANS))
        for name, logged in names.items()
        if name in minibatches[0]
    }
    return {
        **means,
        "train/loss": float(np.mean([sums["loss"] for sums in minibatches])),
        "train/grad_norm": float(np.mean([sums["grad_norm"] for sums in minibatches])),
        "train/lr": minibatches[-1]["lr"],
        "train/flops": sum(sums["flops"] for sums in minibatches),
        "train/tokens": tokens,
        "train/updates": float(len(minibatches)),
    }


def time_metrics(
    rollout: Seconds, train: float, sync: float, step: float, metrics: Mapping[str, float]
) -> dict[str, float]:
    """Seconds by phase and of the whole step by the clock, how far phases overlapped, and speeds.

    `perf/overlap` is the share of the phases' time that the step did not take: 0 where one follows the other,
    below 0 where something else took time. `metrics` are the step's others.
    """
    parts = rollout.generate + rollout.score + train + sync
    return {
        "perf/generate_seconds": rollout.generate,
        "perf/score_seconds": rollout.score,
        "perf/train_seconds": train,
        "perf/sync_seconds": sync,
        "perf/step_seconds": step,
        "perf/overlap": 1 - step / parts,
        "perf/samples_per_second": metrics["rollout/samples"] / step,
        "perf/generated_tokens_per_second": metrics["rollout/tokens"] / max(rollout.generate, 1e-9),
        "perf/trained_tokens_per_second": metrics.get("train/tokens", 0.0) / max(train, 1e-9),
    }


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers: JSON has no other, and an estimate of the divergence may overflow."""
    return {name: value for name, value in metrics.items() if isfinite(value)}


def sample_record(sample: Sample) -> dict[str, Any]:
    """A row of rollouts.jsonl."""
    return {
        "problem_id": sample.row.metadata.get("problem_id", sample.row.label),
        "group": sample.group_index,
        "reward": sample.reward.value,
        "status": sample.reward.status,
        "reason": sample.reward.reason,
        "tokens": len(sample.completion.token_ids),
        "truncated": sample.truncated,
        "response": sample.text,
    }


def progress_line(step: int, steps: int, metrics: Mapping[str, float]) -> str:
    """One line for the terminal."""
    parts = [f"grpo {step}/{steps}: reward {metrics['reward/mean']:.3f}"]
    if "kernels/correct" in metrics:
        parts.append(f"correct {metrics['kernels/correct']:.0%}")
    if "train/entropy" in metrics:
        parts.append(f"entropy {metrics['train/entropy']:.3f}")
    phases = ", ".join(
        f"{phase} {metrics[f'perf/{phase}_seconds']:.1f}" for phase in ("generate", "score", "train")
    )
    parts.append(f"{metrics['perf/step_seconds']:.1f} s ({phases})")
    return ", ".join(parts)
