"""A tiny base model, its data and what came out of training on it, for the tests of SFT and GRPO."""

import json
import random
from pathlib import Path

import torch

from tests.training.tiny import one_process
from training.checkpoint.base import make_base
from training.checkpoint.commands import copy_hf_files
from training.checkpoint.conversion import write_torch_dist
from training.checkpoint.gather import hf_weights
from training.checkpoint.torch_dist import HF_FOLDER, load_model
from training.model.build import build_model
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings, ModelSettings

SHAPE = ModelSettings(
    vocab_size=300,
    num_hidden_layers=2,
    hidden_size=32,
    intermediate_size=64,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    max_position_embeddings=128,
)


def conversations(count: int = 40) -> list[dict]:
    """Questions with answers of few letters and different lengths."""
    draw = random.Random(0)
    rows = []
    for number in range(count):
        question = f"write {draw.randrange(100)}"
        answer = "".join(draw.choice("abcd ") for _ in range(draw.randint(5, 40)))
        rows.append(
            {
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ],
                "metadata": {"problem_id": f"p{number}"},
            }
        )
    return rows


def write_rows(path: Path, rows: list[dict]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def base_checkpoint(folder: Path, shape: ModelSettings = SHAPE) -> Path:
    """A torch_dist folder with a random model and a tokenizer trained on the conversations."""
    texts = [message["content"] for row in conversations() for message in row["messages"]]
    make_base(shape, texts, folder / "base", seed=0)
    out = folder / "torch_dist"
    out.mkdir()
    with one_process():
        write_torch_dist(folder / "base", out)
    copy_hf_files(folder / "base", out / HF_FOLDER)
    return out


def weights(torch_dist: Path) -> dict[str, torch.Tensor]:
    """All weights of a torch_dist folder by their Hugging Face names."""
    architecture = read_architecture(torch_dist / HF_FOLDER)
    with one_process():
        model = build_model(architecture, MegatronSettings(nproc_per_node=1), torch.float32)
        load_model(model, torch_dist)
        return {name: value.clone() for name, value in hf_weights(model, architecture)}


def assert_same_weights(one: Path, other: Path) -> None:
    """Bit for bit."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def metrics(out_dir: Path) -> list[dict[str, float]]:
    """The rows of metrics.jsonl without their times."""
    rows = [json.loads(line) for line in (out_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in rows]
