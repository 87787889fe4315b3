"""Text to token ids and back, for the small BPE trained here and for the tokenizer of any checkpoint alike.

The tokenizer of the embedded default is a byte-level BPE trained on the pipeline's own prompts and
kernels. Its merges may cross blanks, so that `int i = blockIdx.x` can become one token, but not
newlines: with 512 tokens that makes a kernel about a third shorter than the usual word-bound merges.
Whatever it has not seen falls back to bytes, so every text survives the round trip.

The chat template marks turns as ChatML does, without role names: turns alternate, so each costs two
tokens and the prompt for an answer one. Everything else reads a tokenizer through this module and
`apply_chat_template`, so a Qwen3, Llama or Gemma folder works in its place: what ends an answer is what
the template writes after one, and what the checkpoint's generation_config.json names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from evaluation.answer.response import THOUGHT
from evaluation.errors import WarpsmithError

PAD = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
SPECIAL_TOKENS = (PAD, TURN_START, TURN_END)  #: ids 0, 1, 2

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.content + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>' }}{% endif %}"
)

_LONGEST_TAG = 16
"""Tokens at the end of a prompt among which the tag of a thought is looked for."""

Messages = Sequence[Mapping[str, str]]


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a BPE of at most `vocab_size` tokens, the 256 bytes and the special tokens included.

    The same texts in the same order give the same tokenizer. Fewer tokens result if the texts have no
    more pairs to merge.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n *"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=TURN_END,
        additional_special_tokens=[TURN_START],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(
    hf_dir: Path, chat_template_kwargs: Mapping[str, Any] | None = None
) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint folder, without looking anywhere else for it.

    It carries two things of ours, which every encoding and every engine then heeds: `chat_template_kwargs`,
    what the template is told (`enable_thinking: false`, say), and `stop_token_ids`.
    """
    if not (hf_dir / "tokenizer_config.json").is_file():
        raise WarpsmithError(f"{hf_dir} holds no tokenizer_config.json; copy the model's tokenizer there")
    tokenizer = _read_tokenizer(hf_dir)
    if not tokenizer.chat_template:
        raise WarpsmithError(f"the tokenizer in {hf_dir} has no chat template; use a chat model's tokenizer")
    if tokenizer.eos_token_id is None:
        raise WarpsmithError(f"the tokenizer in {hf_dir} names no eos_token; set it in tokenizer_config.json")
    tokenizer.chat_template_kwargs = dict(chat_template_kwargs or {})
    tokenizer.stop_token_ids = _stop_token_ids(tokenizer, _generation_ends(hf_dir))
    return tokenizer


def check_token_ids(hf_dir: Path, vocab_size: int) -> None:
    """Raise WarpsmithError if the folder's tokenizer, if it has one, knows ids that the model has no row for.

    Such an id is an illegal memory access on a GPU, which kills an inference server.
    """
    vocabulary = _vocabulary(hf_dir)
    token = max(vocabulary, key=vocabulary.__getitem__, default=None)
    if token is not None and vocabulary[token] >= vocab_size:
        raise WarpsmithError(
            f"the tokenizer in {hf_dir} has the token {token!r} with the id {vocabulary[token]}, but its "
            f"config.json gives the model {vocab_size} tokens; use the tokenizer that belongs to the model"
        )


def _vocabulary(hf_dir: Path) -> dict[str, int]:
    """The id of every token of the folder's tokenizer, whole or tokenizer.json alone; empty without one."""
    if (hf_dir / "tokenizer_config.json").is_file():
        return dict(_read_tokenizer(hf_dir).get_vocab())
    if (hf_dir / "tokenizer.json").is_file():
        with _reading(hf_dir):
            return dict(Tokenizer.from_file(str(hf_dir / "tokenizer.json")).get_vocab())
    return {}


def _read_tokenizer(hf_dir: Path) -> PreTrainedTokenizerBase:
    with _reading(hf_dir):
        return AutoTokenizer.from_pretrained(str(hf_dir), local_files_only=True)


@contextmanager
def _reading(hf_dir: Path) -> Iterator[None]:
    """Explain what goes wrong; the libraries raise anything at all, also a bare Exception, for a bad file."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise WarpsmithError(f"the tokenizer in {hf_dir} cannot be read ({reason}); copy it again") from None


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """Ids of a chat up to where the assistant's answer begins.

    Control tokens that are spelt out in a message are encoded as the text they are.
    Raises WarpsmithError if the tokenizer's chat template refuses the chat.
    """
    conversation = [dict(message) for message in messages]
    try:
        ids: list[int] = tokenizer.apply_chat_template(
            conversation,
            add_generation_prompt=True,
            return_dict=False,
            sanitize_control_tokens=True,
            **getattr(tokenizer, "chat_template_kwargs", {}),
        )
    except Exception as error:  # a template is code, and may raise anything
        roles = ", ".join(message["role"] for message in messages)
        raise WarpsmithError(
            f"the tokenizer's chat template refuses a chat of {roles} ({error}); write the chat as the model "
            "takes it, or change the template"
        ) from None
    return ids


def encode_response(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of an assistant's answer as the model should write it, the end of the turn included."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return [*ids, stop_token_ids(tokenizer)[0]]


def decode_response(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], prompt_ids: Sequence[int] = ()
) -> str:
    """Text of sampled ids without special tokens; bytes that are no UTF-8 become U+FFFD.

    Where the chat template has opened a thought at the end of `prompt_ids`, the text begins with its tag, so
    that whoever reads it can tell whether the thought was finished.
    """
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    begun: str = tokenizer.decode(list(prompt_ids[-_LONGEST_TAG:]))
    return THOUGHT + text if begun.rstrip().endswith(THOUGHT) else text


def stop_token_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Tokens that end an answer; the first is the one that the template ends it with, which SFT teaches."""
    return getattr(tokenizer, "stop_token_ids", None) or _stop_token_ids(tokenizer, ())


def _stop_token_ids(tokenizer: PreTrainedTokenizerBase, named: Sequence[int]) -> tuple[int, ...]:
    """What the template writes after an answer, what the checkpoint names, and the end of text."""
    candidates = (_template_end(tokenizer), *named, tokenizer.eos_token_id, tokenizer.pad_token_id)
    return tuple(dict.fromkeys(token for token in candidates if token is not None))


def _template_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the template writes after an assistant's answer, if it can be told."""
    answer = "forty-two"
    chat = [{"role": "user", "content": "6 * 7"}, {"role": "assistant", "content": answer}]
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False)
    except Exception:  # a template is code, and may refuse this chat for any reason
        return None
    after = tokenizer.encode(text.rpartition(answer)[2], add_special_tokens=False)
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    return next((token for token in after if token in special), None)


def _generation_ends(hf_dir: Path) -> tuple[int, ...]:
    """The ends of generation that the checkpoint names: a number or a list, or none."""
    file = hf_dir / "generation_config.json"
    if not file.is_file():
        return ()
    try:
        ends = json.loads(file.read_text(encoding="utf-8-sig")).get("eos_token_id") or ()
        return (int(ends),) if isinstance(ends, int) else tuple(int(end) for end in ends)
    except (ValueError, TypeError, AttributeError) as error:
        raise WarpsmithError(f"{file} cannot be read ({error}); copy it again") from None
