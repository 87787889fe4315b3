"""Supervised fine-tuning: what is read, and that a finished run is not repeated."""

from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tests.training.killed import steps_done
from tests.training.night import base_checkpoint, conversations, write_rows
from training.config import MegatronSettings, SftJob, TrainingSettings
from training.optimization import SftSettings
from training.sft import read_examples, train
from training.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return base_checkpoint(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "sft.jsonl", conversations())


def job(checkpoint: Path, rows: Path, out_dir: Path, processes: int, **changes) -> SftJob:
    settings = {"steps": 40, "batch_size": 8, "lr": 5e-3, "warmup_steps": 2, "save_every": 3}
    return SftJob(
        settings=TrainingSettings(
            megatron=MegatronSettings(nproc_per_node=processes),
            sft=SftSettings(**(settings | changes)),
        ),
        checkpoint=checkpoint,
        rows=rows,
        out_dir=out_dir,
    )


def test_the_prompt_is_read_and_the_answer_learnt(checkpoint, rows):
    tokenizer = load_tokenizer(checkpoint / "hf")
    examples, too_long = read_examples(rows, tokenizer, 128)
    assert too_long == 0
    for example, row in zip(examples, conversations(), strict=True):
        question, answer = (message["content"] for message in row["messages"])
        assert question in tokenizer.decode(example.prompt)
        assert tokenizer.decode(example.response) == answer + tokenizer.eos_token
        whole = tokenizer.apply_chat_template(row["messages"], return_dict=False)
        assert [*example.prompt, *example.response] == whole[: example.length]


def test_conversations_that_are_too_long_are_counted(checkpoint, rows):
    everything, _ = read_examples(rows, load_tokenizer(checkpoint / "hf"), 128)
    limit = sorted(example.length for example in everything)[10]
    short, too_long = read_examples(rows, load_tokenizer(checkpoint / "hf"), limit)
    assert len(short) + too_long == len(everything)
    assert all(example.length <= limit for example in short) and too_long > 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"messages": []}', "line 1"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "line 1"),
        ('{"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]}', "line 1"),
        ("not json", "line 1"),
        ("", "no conversation"),
    ],
)
def test_a_bad_file_is_named_with_the_line(checkpoint, tmp_path, content, reason):
    file = tmp_path / "bad.jsonl"
    file.write_text(content)
    with pytest.raises(WarpsmithError, match=reason):
        read_examples(file, load_tokenizer(checkpoint / "hf"), 128)


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
