"""Supervised fine-tuning: what is read, and that a finished run is not repeated."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from evaluation.errors import WarpsmithError
from tests.training.killed import steps_done
from tests.training.night import base_checkpoint, conversations, metrics, write_rows
from training.model.tokenizer import load_tokenizer
from training.settings.jobs import MegatronSettings, SftJob, TrainingSettings
from training.settings.optimization import SftSettings
from training.sft import read_conversations, train


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return base_checkpoint(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "sft.jsonl", conversations())


def job(checkpoint: Path, rows: Path, out_dir: Path, processes: int, **changes) -> SftJob:
    settings = {"steps": 40, "batch_size": 8, "micro_batch_size": 8, "lr": 5e-3, "save_every": 3}
    settings |= {"warmup_steps": 2, "decay_fraction": 0.3}
    return SftJob(
        settings=TrainingSettings(
            megatron=MegatronSettings(nproc_per_node=processes),
            sft=SftSettings(**(settings | changes)),
        ),
        checkpoint=checkpoint,
        rows=rows,
        out_dir=out_dir,
    )


def chat(*turns: str) -> list[dict[str, str]]:
    """User and assistant in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]


def test_the_prompt_is_read_and_the_answer_learnt(checkpoint, rows):
    tokenizer = load_tokenizer(checkpoint / "hf")
    read, too_long = read_conversations(rows, tokenizer, 128, 128)
    assert too_long == 0
    for (example,), row in zip(read, conversations(), strict=True):
        question, answer = (message["content"] for message in row["messages"])
        assert question in tokenizer.decode(example.prompt)
        assert tokenizer.decode(example.response) == answer + tokenizer.eos_token
        whole = tokenizer.apply_chat_template(row["messages"], return_dict=False)
        assert [*example.prompt, *example.response] == whole[: example.length]


def test_every_answer_of_a_conversation_is_learnt(single_process, checkpoint, tmp_path):
    messages = chat("write 1", "a b", "write 22", "dcba abcd")
    file = write_rows(tmp_path / "rows.jsonl", [{"messages": messages}])
    tokenizer = load_tokenizer(checkpoint / "hf")
    (examples,), _ = read_conversations(file, tokenizer, 128, 128)
    assert [tokenizer.decode(example.response, skip_special_tokens=True) for example in examples] == [
        "a b",
        "dcba abcd",
    ]
    whole = tokenizer.apply_chat_template(messages, return_dict=False)
    labels = torch.full((len(whole),), -100)
    for example in examples:
        assert [*example.prompt, *example.response] == whole[: example.length]
        labels[len(example.prompt) : example.length] = torch.tensor(example.response)
    model = AutoModelForCausalLM.from_pretrained(checkpoint.parent / "base")
    expected = model(torch.tensor([whole]), labels=labels[None]).loss.item()
    train(job(checkpoint, file, tmp_path / "out", 1, steps=1, batch_size=1))
    (logged,) = metrics(tmp_path / "out")
    assert logged["train/tokens"] == (labels != -100).sum()
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_conversations_that_are_too_long_are_counted(checkpoint, rows):
    tokenizer = load_tokenizer(checkpoint / "hf")
    everything, _ = read_conversations(rows, tokenizer, 128, 128)
    limit = sorted(example.length for (example,) in everything)[10]
    for limits in ((limit, 128), (128, limit)):
        short, too_long = read_conversations(rows, tokenizer, *limits)
        assert len(short) + too_long == len(everything)
        assert all(example.length <= limit for (example,) in short) and too_long > 0


def test_the_limit_that_leaves_nothing_is_named(checkpoint, rows):
    tokenizer = load_tokenizer(checkpoint / "hf")
    with pytest.raises(WarpsmithError, match=r"at most sft\.max_length 3 tokens; raise it"):
        read_conversations(rows, tokenizer, 3, 128)
    with pytest.raises(WarpsmithError, match="at most the model's max_position_embeddings 4 tokens"):
        read_conversations(rows, tokenizer, 128, 4)


def test_training_stays_within_the_models_context(single_process, checkpoint, tmp_path, capfd):
    rows = [{"messages": chat("x", "a b" * size)} for size in (1, 200)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    train(job(checkpoint, file, tmp_path / "out", 1, steps=1, batch_size=1, max_length=1000))
    assert "sft: 1 conversations (1 too long)" in capfd.readouterr().out


def message(**changes) -> str:
    """A row whose first message is changed; None leaves a field out."""
    first = {"role": "user", "content": "x", **changes}
    given = {name: value for name, value in first.items() if value is not None}
    return json.dumps({"messages": [given, *chat("x", "y")[1:]]})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"messages": []}', "messages"),
        (json.dumps({"messages": chat("x", "y")[1:]}), "messages"),
        (json.dumps({"messages": chat("x")}), "messages"),
        (json.dumps({"messages": chat("x", "y", "z")}), "the last of the messages must be the assistant's"),
        (json.dumps({"messages": chat("x", "y", "z", "a")[1:]}), "and the first another's"),
        (json.dumps({"messages": chat("x", "")}), "an answer of the assistant is empty"),
        (json.dumps({"messages": chat("x", " ", "y", "z")}), "an answer of the assistant is empty"),
        (json.dumps({"messages": ["x", *chat("x", "y")[1:]]}), r"messages\.0"),
        (json.dumps({"messages": "x"}), "messages"),
        (message(content=None), r"messages\.0\.content: Field required"),
        (message(content=5), r"messages\.0\.content"),
        (message(content=["x"]), r"messages\.0\.content"),
        (message(content="\ud800"), "Invalid JSON"),
        (message(role=None), r"messages\.0\.role: Field required"),
        (message(role="banana"), r"messages\.0\.role"),
        (message(role="tool"), r"messages\.0\.role"),
        ("[]", "row"),
        ("not json", "Invalid JSON"),
        ('{"messages": ' + "[" * 10**5, "Invalid JSON: recursion limit"),
    ],
)
def test_a_bad_row_is_named_with_its_line(checkpoint, tmp_path, content, reason):
    file = tmp_path / "bad.jsonl"
    file.write_text(f"{message()}\n\n{content}\n")
    sentence = rf"bad\.jsonl line 3 is not a conversation \(.*{reason}.*\); fix or drop it"
    with pytest.raises(WarpsmithError, match=sentence):
        read_conversations(file, load_tokenizer(checkpoint / "hf"), 128, 128)


def test_a_chat_template_that_refuses_a_row_is_reported_with_the_line(checkpoint, rows):
    tokenizer = load_tokenizer(checkpoint / "hf")
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    sentence = r"sft\.jsonl line 1: .*chat template refuses a chat of user \(roles must alternate\)"
    with pytest.raises(WarpsmithError, match=sentence):
        read_conversations(rows, tokenizer, 128, 128)


def test_an_empty_file_is_called_that(checkpoint, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(WarpsmithError, match=r"empty\.jsonl holds no conversation; run"):
        read_conversations(tmp_path / "empty.jsonl", load_tokenizer(checkpoint / "hf"), 128, 128)


def test_a_finished_run_is_not_repeated_and_other_settings_start_anew(
    single_process, checkpoint, rows, tmp_path, capfd
):
    first = job(checkpoint, rows, tmp_path / "out", 1, steps=3)
    train(first)
    train(first)
    assert "from step 3" in capfd.readouterr().out
    train(job(checkpoint, rows, tmp_path / "out", 1, steps=2))
    assert "from step 0" in capfd.readouterr().out
    assert steps_done(tmp_path / "out") == 2
