"""What ends an answer comes from the checkpoint: its template, its generation_config and its tokenizer."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from evaluation.errors import WarpsmithError
from training.model.tokenizer import encode_prompt, encode_response, load_tokenizer, stop_token_ids

QWEN3 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
LLAMA3 = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "<bos>{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
FAMILIES = {
    "qwen3": (QWEN3, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|im_end|>", "<|im_end|>"),
    "llama3": (
        LLAMA3,
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|end_of_text|>",
        "<|eot_id|>",
    ),
    "gemma": (GEMMA, ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<eos>", "<end_of_turn>"),
}


def make(folder, family, generation_config=None):
    """A tokenizer of bytes with a family's special tokens and template."""
    template, special, eos, turn_end = FAMILIES[family]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=eos, additional_special_tokens=special, chat_template=template
    )
    whole.save_pretrained(folder)
    if generation_config is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation_config))
    return whole.convert_tokens_to_ids(turn_end), whole.convert_tokens_to_ids(eos)


@pytest.mark.parametrize("family", FAMILIES)
def test_sft_teaches_what_the_template_ends_an_answer_with(tmp_path, family):
    turn_end, eos = make(tmp_path, family)
    tokenizer = load_tokenizer(tmp_path)
    assert encode_response(tokenizer, "42")[-1] == turn_end
    assert stop_token_ids(tokenizer)[0] == turn_end
    assert eos in stop_token_ids(tokenizer)


@pytest.mark.parametrize("named", [7, [7, 9]])
def test_the_checkpoints_own_ends_of_generation_stop_an_answer(tmp_path, named):
    make(tmp_path, "llama3", {"eos_token_id": named})
    assert set(named if isinstance(named, list) else [named]) <= set(stop_token_ids(load_tokenizer(tmp_path)))


def test_an_unreadable_generation_config_is_named(tmp_path):
    make(tmp_path, "gemma", {"eos_token_id": ["<eos>"]})
    with pytest.raises(WarpsmithError, match=r"generation_config\.json cannot be read"):
        load_tokenizer(tmp_path)


def test_a_template_is_told_what_the_settings_say(tmp_path):
    make(tmp_path, "qwen3")
    chat = [{"role": "user", "content": "6 * 7"}]
    thinks, answers = load_tokenizer(tmp_path), load_tokenizer(tmp_path, {"enable_thinking": False})
    assert "</think>" not in thinks.decode(encode_prompt(thinks, chat))
    assert answers.decode(encode_prompt(answers, chat)).endswith("</think>\n\n")
