"""A tiny Qwen3 checkpoint and a one-process Megatron, shared by the tests of training."""

from pathlib import Path

import pytest

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
