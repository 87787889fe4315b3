"""Weights that are no numbers are not converted, whichever way."""

import shutil

import pytest
from safetensors.torch import load_file, save_file

from evaluation.errors import WarpsmithError
from tests.training.tiny import qwen3
from training.checkpoint.conversion import write_hf_weights, write_torch_dist
from training.checkpoint.torch_dist import HF_FOLDER

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def spoilt(tmp_path):
    """A checkpoint one of whose numbers is infinite."""
    folder = tmp_path / "spoilt"
    qwen3().save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights[NAME][3, 5] = float("inf")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_infinite_weights_do_not_become_a_torch_dist(single_process, spoilt, tmp_path):
    with pytest.raises(
        WarpsmithError, match=rf"model\.safetensors holds {NAME} with numbers that are NaN or"
    ):
        write_torch_dist(spoilt, tmp_path)


def test_infinite_weights_do_not_leave_a_torch_dist(single_process, spoilt, tmp_path, monkeypatch):
    folder, back = tmp_path / "torch_dist", tmp_path / "back"
    shutil.copytree(spoilt, folder / HF_FOLDER, ignore=shutil.ignore_patterns("*.safetensors"))
    back.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("training.checkpoint.hf_tensors.check_finite", lambda *_: None)
        write_torch_dist(spoilt, folder)
    with pytest.raises(WarpsmithError, match=rf"torch_dist holds {NAME} with numbers that are NaN"):
        write_hf_weights(folder, back)
