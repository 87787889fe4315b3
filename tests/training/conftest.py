"""A tiny Qwen3 checkpoint and a one-process Megatron, shared by the tests of training."""

from pathlib import Path

import pytest

from tests.training.night import base_checkpoint, conversations, write_rows
from tests.training.tiny import one_process, qwen3


@pytest.fixture(scope="session")
def hf_dir(tmp_path_factory) -> Path:
    """A folder with the checkpoint of `qwen3()`."""
    folder = tmp_path_factory.mktemp("qwen3") / "hf"
    qwen3().save_pretrained(folder)
    return folder


@pytest.fixture
def single_process():
    """Megatron's process groups for this one process."""
    with one_process():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A GRPO run's inputs: prompts, no problems (the tests' reward needs none) and a random checkpoint."""
    folder = tmp_path_factory.mktemp("night")
    base_checkpoint(folder)
    rows = [{"prompt": row["messages"][:1], "label": f"p{i}"} for i, row in enumerate(conversations())]
    write_rows(folder / "prompts.jsonl", rows)
    write_rows(folder / "problems.jsonl", [])
    return folder
