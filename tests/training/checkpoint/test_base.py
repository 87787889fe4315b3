"""The base checkpoint and its tokenizer: readable by Hugging Face, deterministic, whole or absent."""

import hashlib
import re
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from evaluation.errors import WarpsmithError
from tests.training.tiny import FAMILIES, family
from training.checkpoint.base import make_base
from training.checkpoint.commands import main
from training.model.tokenizer import (
    check_token_ids,
    decode_response,
    encode_prompt,
    encode_response,
    load_tokenizer,
    stop_token_ids,
    train_tokenizer,
)
from training.rollout.engine import Sampling
from training.rollout.local.engine import LocalEngine
from training.settings.architecture import read_architecture
from training.settings.jobs import ModelSettings

PROMPT = "def f(x, y): # [M,N]\n  z = torch.relu(x + y)\n  return z.sum(1)\n"
KERNEL = """```cuda
// launch k<<<ceil_div(n, 256), 256>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = fmaxf(x[i], 0.f);
}
```"""
SETTINGS = ModelSettings(
    vocab_size=320,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=3,
    max_position_embeddings=512,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=8,
)
TEXTS = [PROMPT, KERNEL, KERNEL.replace("fmaxf(x[i], 0.f)", "expf(x[i])")]


def digest(folder):
    """Hash of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    out = tmp_path_factory.mktemp("base") / "hf"
    make_base(SETTINGS, TEXTS, out, seed=3)
    return out


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def test_metrics_count_what_transformers_loads(tmp_path):
    metrics = make_base(SETTINGS, TEXTS, tmp_path / "hf", seed=3)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", local_files_only=True)
    assert metrics["base/parameters"] == model.num_parameters()
    assert metrics["base/vocab_size"] == 320
    assert model.dtype is torch.float32
    assert abs(model.model.embed_tokens.weight.std().item() - 0.02) < 0.002
    assert model.generation_config.eos_token_id == [2, 0]


def test_same_seed_same_bytes_and_another_seed_other_weights(base, tmp_path):
    random_state = torch.get_rng_state()
    make_base(SETTINGS, iter(TEXTS), tmp_path / "again", seed=3)
    make_base(SETTINGS, TEXTS, tmp_path / "other", seed=4)
    assert torch.equal(torch.get_rng_state(), random_state)
    first, other = digest(base), digest(tmp_path / "other")
    assert digest(tmp_path / "again") == first
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors"}


def test_existing_folders_are_left_alone(base):
    before = digest(base)
    with pytest.raises(WarpsmithError, match="exists already"):
        make_base(SETTINGS, TEXTS, base, seed=5)
    assert digest(base) == before


def test_a_failure_leaves_nothing_behind(tmp_path):
    def broken():
        yield PROMPT
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError):
        make_base(SETTINGS, broken(), tmp_path / "hf", seed=0)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_checkpoint_is_copied(base, tmp_path):
    make_base(ModelSettings(hf_checkpoint=str(base)), TEXTS, tmp_path / "hf", seed=0)
    assert digest(tmp_path / "hf") == digest(base)


def test_an_unsupported_checkpoint_is_refused(base, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text((base / "config.json").read_text().replace('"qwen3"', '"gpt2"'))
    with pytest.raises(WarpsmithError, match="gpt2"):
        make_base(ModelSettings(hf_checkpoint=str(source)), TEXTS, tmp_path / "hf", seed=0)
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_checkpoint_of_every_family_is_copied(tokenizer, tmp_path, name):
    source, out = tmp_path / "source", tmp_path / "hf"
    family(name, vocab_size=SETTINGS.vocab_size).save_pretrained(source)
    tokenizer.save_pretrained(source)
    metrics = make_base(ModelSettings(hf_checkpoint=str(source)), TEXTS, out, seed=0)
    assert metrics["base/parameters"] == family(name, vocab_size=SETTINGS.vocab_size).num_parameters()
    assert digest(out) == digest(source)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tokenizer, tmp_path, capsys):
    source, out = tmp_path / "source", tmp_path / "hf"
    family("llama").save_pretrained(source)
    check_token_ids(source, 97)  # there is no tokenizer yet
    tokenizer.save_pretrained(source)
    message = r"token '.*' with the id \d+, but its config\.json gives the model 97 tokens"
    with pytest.raises(WarpsmithError, match=message):
        make_base(ModelSettings(hf_checkpoint=str(source)), TEXTS, out, seed=0)
    assert main(["to-megatron", str(source), str(out)]) == 2
    assert "gives the model 97 tokens" in capsys.readouterr().err
    assert not out.exists()
    check_token_ids(source, SETTINGS.vocab_size)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(base, tmp_path):
    source = shutil.copytree(base, tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, source / "model.safetensors")
    with pytest.raises(WarpsmithError, match=r"lacks the tensor model\.norm\.weight"):
        make_base(ModelSettings(hf_checkpoint=str(source)), TEXTS, tmp_path / "hf", seed=0)
    assert not (tmp_path / "hf").exists()


def test_the_local_engine_generates_from_it(base, tokenizer):
    engine = LocalEngine.from_pretrained(base)
    prompt = encode_prompt(tokenizer, [{"role": "user", "content": PROMPT}])
    (completion,) = engine.generate(
        [prompt], [Sampling(30, seed=1, stop_token_ids=stop_token_ids(tokenizer))]
    )
    assert isinstance(decode_response(tokenizer, completion.token_ids), str)


def test_chat_through_auto_tokenizer_is_ours(base, tokenizer):
    chat = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": KERNEL}]
    whole = AutoTokenizer.from_pretrained(base, local_files_only=True).apply_chat_template(
        chat, return_dict=False
    )
    prompt, response = encode_prompt(tokenizer, chat[:1]), encode_response(tokenizer, KERNEL)
    assert prompt + response == whole
    assert len(prompt) == len(tokenizer.encode(PROMPT)) + 3
    assert response[-1] == tokenizer.eos_token_id == stop_token_ids(tokenizer)[0]
    assert decode_response(tokenizer, response) == KERNEL


def test_merges_cross_blanks_but_not_newlines(tokenizer):
    pieces = [tokenizer.decode([token]) for token in encode_response(tokenizer, KERNEL)[:-1]]
    assert "".join(pieces) == KERNEL
    assert any(" " in piece.strip() for piece in pieces)
    assert all("\n" not in piece or re.fullmatch(r"\n *", piece) for piece in pieces)


@given(
    st.text(max_size=60) | st.sampled_from(["<|im_end|>", "a<|im_start|>b<|endoftext|>", "\r\n\t  x ' s ."])
)
@settings(max_examples=100, deadline=None)
def test_every_text_survives_and_cannot_forge_a_turn(tokenizer, text):
    text = text.encode("utf-8", "ignore").decode()
    response = encode_response(tokenizer, text)
    assert decode_response(tokenizer, response) == text
    assert all(2 < token < SETTINGS.vocab_size for token in response[:-1])
    prompt = encode_prompt(tokenizer, [{"role": "user", "content": text}])
    assert prompt == [1, *response, 1]


def test_few_texts_give_fewer_tokens_than_the_model_has(tmp_path):
    metrics = make_base(SETTINGS, ["ab"], tmp_path / "hf", seed=0)
    assert metrics["base/vocab_size"] < read_architecture(tmp_path / "hf").vocab_size
    tokenizer = load_tokenizer(tmp_path / "hf")
    assert decode_response(tokenizer, [319, 2]) == ""


def test_tokenizers_that_cannot_chat_are_refused(tmp_path):
    with pytest.raises(WarpsmithError, match=r"tokenizer_config\.json"):
        load_tokenizer(tmp_path)
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(WarpsmithError, match="chat template"):
        load_tokenizer(tmp_path)
