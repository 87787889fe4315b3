"""What one rank computes for the tests of TP, PP and DP; started under torchrun by `parallel.py`.

Arguments: TORCH_DIST_DIR OUT_DIR TPxPP ... Rank 0 saves what it computed at each of the parallel sizes.
"""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state

from tests.training.tiny import random_examples
from training.architecture import read_architecture
from training.batch import Example, MicroBatch, collate
from training.config import MegatronSettings, SftSettings
from training.launch import run_worker
from training.logits import label_entropy, label_logprobs
from training.losses import LossOutput, sft_loss
from training.megatron_cpu import cpu_compat
from training.processes import is_main, process_groups
from training.torch_dist import load_model
from training.trainer import Trainer, _Piece, _run  # the tests look under the lid
from training.weights import hf_weights

STEPS = 3
OPTIMIZATION = SftSettings(lr=1e-3, warmup_steps=1, decay_fraction=0.0, micro_batch_size=4, weight_decay=0.1)


def logits_and_entropy(trainer: Trainer, examples: list[Example]) -> Any:
    """Logits [B, S, V] and entropies of one padded batch; None before the last pipeline stage."""
    batch = collate(examples)
    kept = []

    def keep(logits, *, batch, non_loss_data):
        pieces = [
            torch.empty_like(logits) for _ in range(parallel_state.get_tensor_model_parallel_world_size())
        ]
        dist.all_gather(pieces, logits.contiguous(), group=parallel_state.get_tensor_model_parallel_group())
        kept.append((torch.cat(pieces, -1), label_entropy(logits, 0.7)))

    with cpu_compat(), torch.no_grad():
        _run(trainer.model, [_Piece((), batch)], keep, forward_only=True)
    return kept[0] if kept else None


def compute(source: Path, tp: int, pp: int) -> dict[str, Any]:
    """Everything that the tests look at, on every rank; process groups must exist."""
    settings = MegatronSettings(
        nproc_per_node=dist.get_world_size(), tensor_model_parallel_size=tp, pipeline_model_parallel_size=pp
    )
    architecture = read_architecture(source / "hf")
    trainer = Trainer(architecture, settings, OPTIMIZATION, STEPS)
    load_model(trainer.model, source)
    trainer.weights_changed()
    examples = random_examples(13)
    tokens = sum(len(example.response) for example in examples)

    def loss(logits: torch.Tensor, batch: MicroBatch) -> LossOutput:
        return sft_loss(label_logprobs(logits, batch.labels), batch.mask, normalizer=tokens)

    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, logits_and_entropy(trainer, examples))
    logits, entropy = next(part for part in parts if part is not None)
    return {
        "logits": logits,
        "entropy": entropy,
        "logprobs": trainer.logprobs(examples, 0.7),
        "one": trainer.logprobs(examples[:1], 1.0),  # fewer examples than ranks
        "loaded": {name: value.clone() for name, value in hf_weights(trainer.model, architecture)},
        "steps": [trainer.step(examples, loss) for _ in range(STEPS)],
        "trained": {name: value.clone() for name, value in hf_weights(trainer.model, architecture)},
    }


def main() -> None:
    source, out, *layouts = sys.argv[1:]
    with process_groups(MegatronSettings()):
        for tp, pp in (map(int, layout.split("x")) for layout in layouts):
            parallel_state.destroy_model_parallel()
            parallel_state.initialize_model_parallel(tp, pp)
            result = compute(Path(source), tp, pp)
            if is_main():
                torch.save(result, Path(out) / f"{tp}x{pp}.pt")


if __name__ == "__main__":
    run_worker(main)
