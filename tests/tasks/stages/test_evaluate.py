"""The pieces of the evaluate stage that need no model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation.errors import WarpsmithError
from evaluation.problem import Split
from evaluation.report.summary import Contender
from tasks.disk.layout import Layout
from tasks.profile import read_flags
from tasks.stages.evaluate import generate, read_problems, sample_seed
from tests.training.rollout.sglang.scripted import answer, serving
from tests.training.tiny import qwen3
from training.model.tokenizer import load_tokenizer, train_tokenizer
from training.rollout.engine import Completion, FinishReason
from training.rollout.prompts import Message
from training.rollout.respond import Responder
from training.settings.rollout import Engine


def test_every_sample_has_its_own_stream():
    seeds = {sample_seed(seed, p, i) for seed in (11, 12) for p in ("a", "b", "a/1") for i in range(20)}
    assert len(seeds) == 120 and all(0 <= seed < 2**32 for seed in seeds)


def test_a_stream_is_the_same_every_time():
    assert sample_seed(11, "p", 0) == sample_seed(11, "p", 0)


def test_no_heldout_problems_is_said_with_the_remedy(tmp_path):
    (tmp_path / "problems.jsonl").write_text("")
    with pytest.raises(WarpsmithError, match=r"no heldout problems; raise `data\.heldout`"):
        read_problems(tmp_path / "problems.jsonl", Split.HELDOUT)


class RecordingEngine:
    """Writes nothing and keeps how it was asked to sample."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, sampling):
        self.asked += sampling
        return [Completion((2,), (0.0,), FinishReason.STOP, 0) for _ in prompts]


def test_an_evaluation_spreads_over_several_engines(tmp_path):
    """Both write their share, and the answers come in the order of the problems."""

    def write(body: dict) -> list[dict]:
        return [answer([prompt[0], 2], version="0") for prompt in body["input_ids"]]

    qwen3(vocab_size=300).save_pretrained(tmp_path)
    tokenizer = train_tokenizer(["add two vectors"], 300)
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(tmp_path)
    profile, _ = read_flags(Layout(Path(), "cpu"), ["--rollout-max-new-tokens", "8"])
    problems = [SimpleNamespace(id=letter) for letter in "abcde"]
    prompts = {problem.id: [Message(role="user", content=problem.id)] for problem in problems}
    with serving(write) as one, serving(write) as two:
        served = profile.rollout.model_copy(
            update={
                "engine": Engine.SGLANG,
                "engine_urls": (one.url, two.url),
            }
        )
        training = profile.training.model_copy(update={"rollout": served})
        drafts = list(
            generate(
                tmp_path, Contender.TRAINED, 12, problems, prompts, profile.benchmark, training, tmp_path
            )
        )
        shares = [sum(len(body["input_ids"]) for _, body in server.calls if body) for server in (one, two)]
    each = profile.benchmark.samples_per_problem
    assert [(draft.problem.id, draft.response) for draft in drafts] == [
        (p.id, p.id) for p in problems for _ in range(each)
    ]
    assert sum(shares) == 5 * each and min(shares) >= 5 * each // 2


def test_the_benchmark_samples_and_records_as_the_rollouts_do(tmp_path, monkeypatch):
    flags = ["--rollout-top-k", "3", "--rollout-top-p", "0.9", "--rollout-temperature", "0.7"]
    profile, _ = read_flags(Layout(Path(), "cpu"), flags)
    engine = RecordingEngine()
    monkeypatch.setattr("training.rollout.open.open_engine", lambda *_, **__: nullcontext(engine))
    tokenizer = train_tokenizer(["add two vectors"], 300)
    tokenizer.chat_template = "{{ messages[0].content }}<think>\n"
    tokenizer.save_pretrained(tmp_path)
    problem = SimpleNamespace(id="p")
    prompts = {"p": [Message(role="user", content="a")]}
    benchmark, training = profile.benchmark, profile.training
    drafts = list(
        generate(tmp_path, Contender.TRAINED, 12, [problem], prompts, benchmark, training, tmp_path)
    )
    assert {draft.response for draft in drafts} == {"<think>"}  # the thought that the prompt opened
    rollout = Responder(load_tokenizer(tmp_path), engine, None, profile.grpo, profile.rollout).sampling(7)
    assert {replace(one, seed=7) for one in engine.asked} == {rollout}
    assert len({one.seed for one in engine.asked}) == benchmark.samples_per_problem
