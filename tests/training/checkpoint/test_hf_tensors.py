"""Slices of safetensors files are those of the tensors, and files written in a stream are safetensors'."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from evaluation.errors import WarpsmithError
from training.checkpoint.hf_tensors import read_slice, write_tensors

MATRIX = torch.arange(70, dtype=torch.float32).view(10, 7)
SLICES = [(0, 0, None), (0, 3, 8), (0, 8, 14), (0, 12, 15), (1, 0, None), (1, 2, 5)]


@pytest.mark.parametrize("block_bytes", [1, 60, 10**6])
@pytest.mark.parametrize(("dim", "start", "stop"), SLICES)
def test_a_slice_is_read_in_blocks_and_padded(tmp_path, monkeypatch, block_bytes, dim, start, stop):
    monkeypatch.setattr("training.checkpoint.hf_tensors._BLOCK_BYTES", block_bytes)
    save_file({"other": torch.ones(3), "matrix": MATRIX}, tmp_path / "file")
    padded = torch.cat([MATRIX, torch.zeros(10, 7)])
    whole = padded if stop else MATRIX
    expected = whole[start:stop] if dim == 0 else MATRIX[:, start:stop]
    assert torch.equal(read_slice(tmp_path / "file", "matrix", dim, start, stop), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_vectors_and_every_type_are_read(tmp_path, dtype):
    save_file({"vector": MATRIX[0].to(dtype)}, tmp_path / "file")
    assert torch.equal(read_slice(tmp_path / "file", "vector"), MATRIX[0].to(dtype))
    assert torch.equal(read_slice(tmp_path / "file", "vector", 0, 5, 9)[:2], MATRIX[0, 5:].to(dtype))


def test_what_is_read_does_not_change_with_the_file(tmp_path):
    save_file({"matrix": MATRIX}, tmp_path / "file")
    value = read_slice(tmp_path / "file", "matrix")
    (tmp_path / "file").write_bytes(b"\0" * (tmp_path / "file").stat().st_size)
    assert torch.equal(value, MATRIX)


@pytest.mark.parametrize("block_bytes", [1, 10**6])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, monkeypatch, block_bytes, number):
    monkeypatch.setattr("training.checkpoint.hf_tensors._BLOCK_BYTES", block_bytes)
    spoilt = MATRIX.bfloat16()
    spoilt[4, 2] = number
    save_file({"matrix": spoilt}, tmp_path / "file")
    with pytest.raises(WarpsmithError, match="file holds matrix with numbers that are NaN or infinite"):
        read_slice(tmp_path / "file", "matrix")
    assert torch.equal(read_slice(tmp_path / "file", "matrix", 0, 5, 10), spoilt[5:])


@pytest.mark.parametrize(("limit", "files"), [(10**6, 1), (400, 3), (800, 2), (1, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_files_are_filled_up_to_a_size(tmp_path, limit, files, dtype):
    limit = limit if dtype == "float32" else max(1, limit // 2)
    weights = {f"w{i}": torch.full((10, 10), float(i)).to(getattr(torch, dtype)) for i in range(3)}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    write_tensors(weights.items(), shapes, dtype, tmp_path, limit)
    written = sorted(tmp_path.glob("*.safetensors"))
    assert len(written) == files
    found = {name: value for file in written for name, value in load_file(file).items()}
    assert found.keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in found.items())
    with safe_open(written[0], framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    if files > 1:
        index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(value.nbytes for value in weights.values())
        assert all(name in load_file(tmp_path / file) for name, file in index["weight_map"].items())


def test_tensors_that_were_not_announced_are_refused(tmp_path):
    for other in ({"v": MATRIX}, {"w": MATRIX[:1]}):
        with pytest.raises(ValueError, match="in place of w"):
            write_tensors(other.items(), {"w": (10, 7)}, "float32", tmp_path)
