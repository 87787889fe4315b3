"""Which safetensors file holds each tensor of a Hugging Face checkpoint, checked before anything is read.

Only the files' headers are looked at, so a checkpoint of any size is checked in milliseconds. Imports no
torch: every command that takes a checkpoint may check it first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from evaluation.errors import WarpsmithError
from training.settings.architecture import Architecture

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
DEFAULT_SHARD_BYTES = 5 * 10**9  #: largest file that is written
#: Types by torch's name, as safetensors calls them.
DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
#: Buffers that old versions of transformers wrote and new ones compute.
_COMPUTED = re.compile(r"(.*\.)?rotary_emb\.inv_freq")
_COMPARED_BYTES = 1 << 24


def find_tensors(hf_dir: Path, architecture: Architecture) -> dict[str, Path]:
    """The file of every tensor of the checkpoint in `hf_dir`, by the tensor's name.

    Weights may lie in another floating-point type than config.json names, as published norms do: they are
    converted when they are read, as transformers does. A tied model may have an output layer that equals the
    embedding.

    Raises WarpsmithError if a file is missing or damaged, if two hold the same tensor, if names and shapes of
    the tensors are not those that config.json asks for, or if a tied model has an output layer of its own.
    """
    stored: dict[str, Path] = {}
    headers: dict[str, tuple[tuple[int, ...], str]] = {}
    for path in _weight_files(hf_dir):
        header = _read_header(path)
        twice = header.keys() & stored.keys()
        if twice:
            raise WarpsmithError(
                f"{stored[min(twice)]} and {path.name} both hold the tensor {min(twice)}; "
                "remove the file that belongs to another checkpoint, or download it again"
            )
        stored |= dict.fromkeys(header, path)
        headers |= header
    shapes = architecture.weight_shapes()
    _check_names(hf_dir, architecture, stored, shapes)
    for name, shape in shapes.items():
        if headers[name][0] != shape or headers[name][1] not in DTYPES.values():
            raise WarpsmithError(
                f"{stored[name]} holds {name} as {_describe(*headers[name])} where "
                f"{architecture.source} asks for {_describe(shape, DTYPES[architecture.dtype])}; "
                "download the checkpoint again, or correct its config.json"
            )
    if architecture.tied and _HEAD in stored:
        _check_tied(architecture, stored, headers)
    return {name: stored[name] for name in shapes}


def _weight_files(hf_dir: Path) -> list[Path]:
    """The files that transformers would read, and if it knows none of them, whatever is there."""
    if (hf_dir / SINGLE_FILE).is_file():
        return [hf_dir / SINGLE_FILE]
    index = hf_dir / INDEX_FILE
    if index.is_file():
        return _indexed_files(index)
    files = sorted(hf_dir.glob("*.safetensors"))
    if not files:
        raise WarpsmithError(f"{hf_dir} holds no *.safetensors file; download or export it in that format")
    return files


def _indexed_files(index: Path) -> list[Path]:
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise WarpsmithError(f"{index} cannot be read ({error!r}); download it again") from None
    files = [index.parent / str(name) for name in sorted(names, key=str)]
    for file in files:
        if file.parent != index.parent:
            raise WarpsmithError(f"{index} names {file}, which is in another folder; download it again")
        if not file.is_file():
            raise WarpsmithError(f"{index} names {file.name}, which is not there; download that file")
    return files


def _read_header(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every tensor in a file; safetensors compares the file's length with them."""
    try:
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise WarpsmithError(f"{path} cannot be read ({error}); download it again") from None


def _check_names(
    hf_dir: Path, architecture: Architecture, stored: Collection[str], shapes: Mapping[str, object]
) -> None:
    unused = {name for name in stored if _COMPUTED.fullmatch(name)} | (
        {_HEAD} if architecture.tied else set()
    )
    missing, unknown = sorted(set(shapes) - set(stored)), sorted(set(stored) - set(shapes) - unused)
    if missing:
        raise WarpsmithError(
            f"{hf_dir} lacks the tensor {missing[0]} ({len(missing)} in all) that {architecture.source} "
            "asks for; download the checkpoint again"
        )
    if unknown:
        raise WarpsmithError(
            f"{hf_dir} has the tensor {unknown[0]} ({len(unknown)} in all), for which "
            f"{architecture.source} has no place; its weights and its config.json belong to different models"
        )


def _check_tied(
    architecture: Architecture, stored: Mapping[str, Path], headers: Mapping[str, tuple[tuple[int, ...], str]]
) -> None:
    """Refuse an output layer that is not the embedding: transformers would not tie the two either."""
    same = headers[_HEAD] == headers[_EMBEDDING] and all(
        one == other
        for one, other in zip(
            _raw_blocks(stored[_HEAD], _HEAD), _raw_blocks(stored[_EMBEDDING], _EMBEDDING), strict=True
        )
    )
    if not same:
        raise WarpsmithError(
            f"{architecture.source} says tie_word_embeddings, but {stored[_HEAD]} holds a {_HEAD} that is "
            "not the embedding; set tie_word_embeddings to false if that layer counts, or remove the tensor"
        )


def _raw_blocks(path: Path, name: str) -> Iterator[bytes]:
    """The bytes of a tensor, piece by piece: a file is 8 bytes of header length, the header, the data."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(length))[name]["data_offsets"]
        file.seek(8 + length + begin)
        for position in range(begin, end, _COMPARED_BYTES):
            yield file.read(min(_COMPARED_BYTES, end - position))


def _describe(shape: tuple[int, ...], dtype: str) -> str:
    return f"{dtype} {list(shape)}"
