"""What one rank computes for the tests of TP, PP and DP; started under torchrun by `parallel.py`.

Arguments: TORCH_DIST_DIR OUT_DIR TPxPP[-MODE] ... Rank 0 saves what it computed in each of these ways.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.tensor_parallel import gather_from_sequence_parallel_region

from tests.training.tiny import random_examples
from training.checkpoint.gather import hf_weights, peft_weights
from training.checkpoint.snapshots import Progress, Snapshots
from training.checkpoint.torch_dist import load_model
from training.launch.local import run_worker
from training.launch.processes import is_main, process_groups
from training.model.logits import label_entropy
from training.model.megatron_cpu import cpu_compat
from training.model.vocabulary import mask_padding
from training.objective.batch import Example, Tokens, collate
from training.objective.losses import LossOutput, policy_loss, sft_loss
from training.objective.ratios import with_sequence_means
from training.optimize.trainer import Trainer, _Piece, _run  # the tests look under the lid
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings
from training.settings.optimization import GrpoSettings, PolicyLoss, SftSettings

STEPS = 3
PLAIN, DISTRIBUTED, LORA_DISTRIBUTED = "plain", "distributed", "lora-distributed"
_LORA = {"lora_rank": 4}
_RECOMPUTE = {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
_PACKED = {"use_dynamic_batch_size": True, "max_tokens_per_gpu": 70, "max_logits": 96 * 30}
#: Settings that must not change what is computed.
MODES: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "packed": _PACKED,
    "recomputed": _RECOMPUTE,
    "sequence": {"sequence_parallel": True},
    DISTRIBUTED: {"use_distributed_optimizer": True},
    "all": {"sequence_parallel": True, **_PACKED, **_RECOMPUTE},
    "lora": _LORA,
    "lora-all": {"sequence_parallel": True, **_PACKED, **_RECOMPUTE, **_LORA},
    LORA_DISTRIBUTED: {"use_distributed_optimizer": True, **_LORA},
}
OPTIMIZATION = SftSettings(lr=1e-3, warmup_steps=1, decay_fraction=0.0, micro_batch_size=4, weight_decay=0.1)
#: Every part of the policy's loss, over sequences of very different lengths.
POLICY = GrpoSettings(aggregation="sequence_mean", importance_cap=1.5, kl_coefficient=0.1, clip_high=0.28)
#: The same of a loss that depends on whole sequences.
BY_SEQUENCE = POLICY.model_copy(
    update={
        "policy_loss": PolicyLoss.GSPO,
        "token_rejection": (0.7, 1.4),
        "sequence_rejection": (0.93, 1.05),
    }
)
TEMPERATURE = 0.7


def policy_examples() -> list[Example]:
    """Examples with advantages and with what three other policies gave their tokens."""
    generator = torch.Generator().manual_seed(3)

    def near(example: Example) -> tuple[float, ...]:
        return tuple((-4.6 + 0.3 * torch.randn(len(example.response), generator=generator)).tolist())

    return [
        replace(
            example,
            advantage=(-1.0) ** number * (1 + number / 10),
            logprobs={name: near(example) for name in ("old", "rollout", "reference")},
        )
        for number, example in enumerate(random_examples(13, seed=5))
    ]


def policy_step(trainer: Trainer, settings: GrpoSettings) -> dict[str, float]:
    """One step on the policy's loss: mean over sequences of the mean over their tokens."""
    examples = policy_examples()

    def loss(logprobs: torch.Tensor, _entropies: torch.Tensor, tokens: Tokens) -> LossOutput:
        return policy_loss(
            logprobs,
            tokens.logprobs["old"],
            tokens.advantages,
            tokens.mask,
            settings,
            normalizer=len(examples),
            response_lengths=tokens.response_lengths,
            rollout_logprobs=tokens.logprobs["rollout"],
            ref_logprobs=tokens.logprobs["reference"],
            sequence_means=tokens.sequence_means,
        )

    prepare = with_sequence_means if settings.needs_whole_sequences else None
    return trainer.step(examples, loss, TEMPERATURE, prepare)


def logits_and_entropy(trainer: Trainer, examples: list[Example]) -> Any:
    """Logits [B, S, V] and entropies of one padded batch; None before the last pipeline stage."""
    kept = []
    sequence_parallel = trainer.model.config.sequence_parallel

    def keep(hidden, *, batch, non_loss_data):
        if sequence_parallel:
            hidden = gather_from_sequence_parallel_region(hidden)
        logits = hidden.transpose(0, 1).matmul(trainer.model.head_weight().t())
        mask_padding(logits, trainer.architecture.vocab_size)
        pieces = [
            torch.empty_like(logits) for _ in range(parallel_state.get_tensor_model_parallel_world_size())
        ]
        dist.all_gather(pieces, logits.contiguous(), group=parallel_state.get_tensor_model_parallel_group())
        kept.append((torch.cat(pieces, -1).cpu(), label_entropy(logits, 0.7).cpu()))

    device = next(trainer.model.parameters()).device
    batch = collate(examples, device, multiple_of=2 if sequence_parallel else 1)
    with cpu_compat(), torch.no_grad():
        _run(trainer.model, [_Piece((), batch)], keep, forward_only=True)
    return kept[0] if kept else None


def compute(source: Path, tp: int, pp: int, mode: str = PLAIN) -> dict[str, Any]:
    """Everything that the tests look at, on every rank; process groups must exist."""
    settings = MegatronSettings(
        nproc_per_node=dist.get_world_size(),
        tensor_model_parallel_size=tp,
        pipeline_model_parallel_size=pp,
        **MODES[mode],
    )
    architecture = read_architecture(source / "hf")
    trainer = Trainer(architecture, settings, OPTIMIZATION, STEPS)
    load_model(trainer.model, source)
    trainer.weights_changed()
    examples = random_examples(13)
    tokens = sum(len(example.response) for example in examples)

    def loss(logprobs: torch.Tensor, _entropies: torch.Tensor, predicted: Tokens) -> LossOutput:
        return sft_loss(logprobs, predicted.mask, normalizer=tokens)

    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, logits_and_entropy(trainer, examples))
    logits, entropy = next(part for part in parts if part is not None)
    result = {
        "logits": logits,
        "entropy": entropy,
        "logprobs": [row.tolist() for row in trainer.logprobs(examples, 0.7)],
        "one": [row.tolist() for row in trainer.logprobs(examples[:1], 1.0)],  # fewer examples than ranks
        "loaded": _weights(trainer),
        "steps": [trainer.step(examples, loss) for _ in range(STEPS)],
        "trained": _weights(trainer),
        "adapters": {name: value.clone() for name, value in peft_weights(trainer.model, architecture)},
        "policy": policy_step(trainer, POLICY),
        "by_sequence": policy_step(trainer, BY_SEQUENCE),
    }
    if mode in (DISTRIBUTED, LORA_DISTRIBUTED):  # what others' snapshots hold is tested with the runs
        snapshots = Snapshots(source / f"snapshots-{mode}", keep=1, fingerprint="one")
        snapshots.save(trainer, Progress(STEPS, {"count": 1, "seed": 0, "drawn": 0}))
        restored = Trainer(architecture, settings, OPTIMIZATION, STEPS)
        load_model(restored.model, source)
        snapshots.restore(restored)
        result["next"] = [one.step(examples, loss) for one in (trainer, restored)]
    return result


def _weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone().cpu() for name, value in hf_weights(trainer.model, trainer.architecture)}


def compute_layouts(source: Path, out: Path, layouts: list[str]) -> None:
    """Save what is computed in each of these ways; process groups must exist."""
    for layout in layouts:
        sizes, _, mode = layout.partition("-")
        tp, pp = map(int, sizes.split("x"))
        parallel_state.destroy_model_parallel()
        parallel_state.initialize_model_parallel(tp, pp)
        result = compute(source, tp, pp, mode or PLAIN)
        if is_main():
            torch.save(result, out / f"{layout}.pt")


def main() -> None:
    source, out, *layouts = sys.argv[1:]
    with process_groups(MegatronSettings()):
        compute_layouts(Path(source), Path(out), layouts)


if __name__ == "__main__":
    run_worker(main)
