"""Opens the rollout engine that a profile asks for, in training processes and outside them alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.rollout.engine import RolloutEngine
from training.rollout.local.engine import LocalEngine
from training.settings.architecture import read_architecture
from training.settings.jobs import TrainingSettings
from training.settings.rollout import Engine


@contextmanager
def open_engine(
    settings: TrainingSettings, hf_dir: Path, *, load_weights: bool, log_dir: Path | None = None
) -> Iterator[RolloutEngine]:
    """The engine of `settings.rollout` for the model in `hf_dir`; collective under torchrun.

    Args:
        settings: all sections that training reads.
        hf_dir: config and tokenizer of the model, and its weights if they are to be loaded.
        load_weights: whether to begin with the weights in `hf_dir`, as version 0; otherwise the engine has
            none until `update_weights`.
        log_dir: where SGLang servers write their logs; by default beside `hf_dir`.

    Raises:
        WarpsmithError: the engine cannot be had as asked for; raised before any GPU works.
    """
    if settings.rollout.engine is Engine.SGLANG:
        from training.rollout.sglang.start import start_engine

        engine: RolloutEngine = start_engine(
            settings, hf_dir, load_weights=load_weights, log_dir=log_dir or hf_dir.parent
        )
    else:
        engine = _local_engine(settings, hf_dir, load_weights)
    try:
        yield engine
    finally:
        engine.close()


def check_engine(settings: TrainingSettings, hf_dir: Path) -> None:
    """Raise what `open_engine` would find wrong in training, without starting anything.

    Called before the trainer takes any memory. Each rank checks for itself: no messages are exchanged.
    """
    if settings.rollout.engine is Engine.SGLANG:
        from training.rollout.sglang.start import check_start

        check_start(settings, hf_dir)


def _local_engine(settings: TrainingSettings, hf_dir: Path, load_weights: bool) -> RolloutEngine:
    batch_size = settings.rollout.batch_size
    if load_weights:
        return LocalEngine.from_pretrained(hf_dir, batch_size=batch_size)
    return LocalEngine(read_architecture(hf_dir), batch_size=batch_size)
