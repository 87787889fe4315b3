"""Models and data small enough for tests, also for the processes that tests start."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from training.launch.ports import free_port
from training.objective.batch import Example
from training.settings.jobs import MegatronSettings

#: A process may often have 1 024.
_MANY_DESCRIPTORS = 400
FAMILIES = ("qwen3", "qwen2", "llama", "gemma3_text")
_SHAPE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
}

#: Windows shorter than most sequences of the tests, and nothing that is implied by something else.
GEMMA3 = {
    "vocab_size": 97,
    "query_pre_attn_scalar": 24,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 5e4},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e3},
    },
}


def qwen3(seed: int = 0, **changes) -> Qwen3ForCausalLM:
    """A tiny random Qwen3 whose norms are not trivial. Three layers, so that PP 2 is uneven."""
    return _random(Qwen3ForCausalLM, Qwen3Config(**(_SHAPE | changes)), seed)


def family(name: str, seed: int = 0, **changes) -> PreTrainedModel:
    """A tiny random model of a supported family; its vocabulary of 97 does not divide over two processes."""
    if name == "qwen3":
        return qwen3(seed, **{"vocab_size": 97, "tie_word_embeddings": False} | changes)
    if name == "qwen2":
        shape = _SHAPE | {"vocab_size": 97} | changes
        del shape["head_dim"]
        return _random(Qwen2ForCausalLM, Qwen2Config(**shape), seed)
    if name == "gemma3_text":
        return _random(Gemma3ForCausalLM, Gemma3TextConfig(**(_SHAPE | GEMMA3 | changes)), seed)
    scaled = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0}
    bounds = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
    own = {"vocab_size": 97, "tie_word_embeddings": False, "rope_parameters": scaled | bounds}
    return _random(LlamaForCausalLM, LlamaConfig(**(_SHAPE | own | changes)), seed)


def _random(model_class: type, config, seed: int):
    """A random model; what transformers starts at 0 or 1 is random too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name or "bias" in name:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def random_examples(count: int, seed: int = 0, vocabulary: int = 96) -> list[Example]:
    """Prompts and responses of random lengths."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(low: int, high: int) -> tuple[int, ...]:
        length = int(torch.randint(low, high, (1,), generator=generator))
        return tuple(torch.randint(3, vocabulary, (length,), generator=generator).tolist())

    return [Example(tokens(2, 9), tokens(1, 30)) for _ in range(count)]


def load_hf_weights(model, hf_dir: Path) -> None:
    """Fill a Megatron model with a Hugging Face checkpoint, in the one process that there is."""
    from training.checkpoint.conversion import write_torch_dist
    from training.checkpoint.torch_dist import load_model

    with TemporaryDirectory() as folder:
        write_torch_dist(hf_dir, Path(folder))
        load_model(model, Path(folder))


@contextmanager
def one_process() -> Iterator[None]:
    """Megatron's process groups for this process alone."""
    from training.launch.processes import process_groups

    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    rank = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    threads = torch.get_num_threads()
    with (
        mock.patch.dict(os.environ, rank | address),
        torch.random.fork_rng(),
        process_groups(MegatronSettings(nproc_per_node=1)),
    ):
        yield
    torch.set_num_threads(threads)
    # A trainer refers to itself, and its groups keep 60 descriptors open; collecting takes half a second.
    if len(os.listdir("/proc/self/fd")) > _MANY_DESCRIPTORS:
        gc.collect()
