"""The checkpoint of the first night: a tiny random Qwen3 with its own tokenizer, or one that exists.

The folder is an ordinary Hugging Face checkpoint, so whatever reads Qwen3-4B reads it too.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from training.checkpoint.commands import check_hf_checkpoint
from training.checkpoint.folders import complete_or_absent
from training.model.tokenizer import load_tokenizer, stop_token_ids, train_tokenizer
from training.settings.architecture import read_architecture
from training.settings.jobs import ModelSettings


def make_base(settings: ModelSettings, texts: Iterable[str], out: Path, seed: int) -> dict[str, float]:
    """Write the starting checkpoint to the new folder `out`; all of it or nothing.

    Without `settings.hf_checkpoint`: a tokenizer trained on `texts` (the night's prompts and kernels) and
    a Qwen3 of the settings' shape, its weights drawn from `seed` in float32. The same settings, texts and
    seed give the same bytes. With `hf_checkpoint`: a copy of that folder, if its architecture is supported.

    Returns `base/parameters` and `base/vocab_size` (of the tokenizer).
    """
    with complete_or_absent(out) as unfinished:
        if settings.hf_checkpoint is None:
            _make(settings, texts, unfinished, seed)
        else:
            _copy(Path(settings.hf_checkpoint), unfinished)
        shapes = read_architecture(unfinished).weight_shapes()
        return {
            "base/parameters": float(sum(math.prod(shape) for shape in shapes.values())),
            "base/vocab_size": float(len(load_tokenizer(unfinished))),
        }


def _make(settings: ModelSettings, texts: Iterable[str], folder: Path, seed: int) -> None:
    shape = settings.shape
    tokenizer = train_tokenizer(texts, shape["vocab_size"])
    tokenizer.model_max_length = shape["max_position_embeddings"]
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(_config(settings, tokenizer))
    model.generation_config.eos_token_id = list(stop_token_ids(tokenizer))
    model.generation_config.save_pretrained(folder)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _config(settings: ModelSettings, tokenizer: PreTrainedTokenizerBase) -> Qwen3Config:
    """The Hugging Face config of the settings' shape; the model may have more tokens than the tokenizer."""
    return Qwen3Config(
        **settings.shape,
        rope_parameters={"rope_type": "default", "rope_theta": settings.rope_theta},
        rms_norm_eps=settings.rms_norm_eps,
        tie_word_embeddings=settings.tie_word_embeddings,
        initializer_range=settings.initializer_range,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        dtype="float32",
    )


def _copy(source: Path, folder: Path) -> None:
    """Copy a checkpoint that we can train: supported architecture, whole, with a chat tokenizer that fits."""
    check_hf_checkpoint(source)
    load_tokenizer(source)
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "*.bin", "*.pth"))
