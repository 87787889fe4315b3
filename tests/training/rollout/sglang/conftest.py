"""One real SGLang server on the CPU, which ends with the module that uses it: it keeps a core busy."""

from __future__ import annotations

import importlib.util

import pytest

from tests.training.night import base_checkpoint
from training.rollout.open import open_engine
from training.settings.jobs import TrainingSettings
from training.settings.rollout import RolloutSettings
from training.settings.sglang import SglangSettings


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A tiny checkpoint with weights and a tokenizer."""
    folder = tmp_path_factory.mktemp("served")
    base_checkpoint(folder)
    return folder / "base"


def served(**rollout) -> TrainingSettings:
    """Settings for a server on the CPU."""
    return TrainingSettings(
        rollout=RolloutSettings(**({"engine": "sglang", "max_new_tokens": 8} | rollout)),
        sglang=SglangSettings(device="cpu", max_total_tokens=4000, sleep_on_idle=True),
    )


@pytest.fixture(scope="module")
def own_engine(model_dir, tmp_path_factory):
    """The engine of a server of our own, which has the weights in `model_dir`."""
    if importlib.util.find_spec("sglang") is None:
        pytest.skip("needs the SGLang server: make sglang")
    logs = tmp_path_factory.mktemp("logs")
    with open_engine(served(), model_dir, load_weights=True, log_dir=logs) as engine:
        yield engine


@pytest.fixture(scope="module")
def url(own_engine) -> str:
    """Where that server answers."""
    (member,) = own_engine._fleet.members
    return member.client.url
