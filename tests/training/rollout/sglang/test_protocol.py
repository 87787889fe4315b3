"""What is said to a server and how its answers are read."""

import json
from dataclasses import replace

import pytest

from evaluation.errors import WarpsmithError
from tests.training.rollout.sglang.scripted import INFO, answer
from training.rollout.engine import Completion, FinishReason, Sampling
from training.rollout.sglang.protocol import (
    Limits,
    MalformedAnswer,
    Request,
    ServerInfo,
    generate_body,
    parse_completions,
)

LIMITS = Limits.of(ServerInfo(**INFO), vocab_size=96, max_positions=128)


def request(prompt=(5, 6), **sampling) -> Request:
    return Request(prompt, Sampling(**({"max_new_tokens": 8, "seed": 3} | sampling)))


def parse(*answers, requests=None) -> list[Completion]:
    return parse_completions(json.dumps(answers).encode(), requests or [request() for _ in answers])


def test_all_of_sampling_is_sent():
    special = request(temperature=0.7, top_p=0.9, top_k=5, stop_token_ids=(2, 0))
    body = generate_body([replace(special, seeded=True), request()])
    assert body["input_ids"] == [[5, 6], [5, 6]] and body["return_logprob"] is True
    assert body["sampling_params"][0] == {
        "max_new_tokens": 8,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
        "stop_token_ids": [2, 0],
        "ignore_eos": False,
        "sampling_seed": 3,
        "skip_special_tokens": False,
    }
    assert body["sampling_params"][1]["ignore_eos"] is True
    assert "sampling_seed" not in body["sampling_params"][1]


def test_equal_parameters_are_sent_once():
    body = generate_body([request((5,), seed=1), request((6,), seed=2)])
    assert body["sampling_params"]["max_new_tokens"] == 8


def test_a_completion_is_read():
    (completion,) = parse(answer([7, 2], version="12"))
    assert completion == Completion((7, 2), (-1.0, -1.0), FinishReason.STOP, weight_version=12)


def test_an_interrupted_request_goes_on_after_its_tokens():
    begun = Completion((7, 8, 9), (-0.5, -0.5, -0.5), FinishReason.ABORT, weight_version=1)
    going = request().after(begun)
    body = generate_body([going])
    assert body["input_ids"] == [[5, 6, 7, 8, 9]] and body["sampling_params"]["max_new_tokens"] == 5
    (completion,) = parse(answer([10, 2], version="2"), requests=[going])
    assert completion.token_ids == (7, 8, 9, 10, 2)
    assert completion.logprobs == (-0.5, -0.5, -0.5, -1.0, -1.0)
    assert completion.weight_version == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>", "Invalid JSON"),
        (b'{"text": "one, not a list"}', "valid array"),
        (b"[]", "1 requests got 0 answers"),
        (b'[{"output_ids": [1]}]', "meta_info"),
        (json.dumps([answer([1]) | {"output_ids": [1, 2]}]).encode(), "2 tokens came with 1"),
        (json.dumps([answer([1], reason="tired")]).encode(), "unknown finish reason"),
        (json.dumps([answer([1], version="none")]).encode(), "nobody sent"),
    ],
)
def test_nonsense_is_named(content, complaint):
    with pytest.raises(MalformedAnswer, match=complaint):
        parse_completions(content, [request()])


def test_the_longest_request_is_the_one_that_is_not_cut_short():
    """58 + 5 tokens of context less the last position, as SGLang counts them."""
    assert LIMITS.longest == 62
    LIMITS.check([5] * 54, Sampling(max_new_tokens=8, seed=0))
    with pytest.raises(WarpsmithError, match="exceed the SGLang server's 62"):
        LIMITS.check([5] * 55, Sampling(max_new_tokens=8, seed=0))
    with pytest.raises(WarpsmithError, match="exceed"):
        LIMITS.check([5] * 58, Sampling(max_new_tokens=1, seed=0))


@pytest.mark.parametrize("prompt", [[], [96], [-1]])
def test_tokens_that_would_kill_the_server_are_refused(prompt):
    with pytest.raises(WarpsmithError, match=r"is empty|outside 0\.\.95"):
        LIMITS.check(prompt, Sampling(max_new_tokens=1, seed=0))


def test_types_of_weights():
    info = ServerInfo(**INFO | {"dtype": "auto"})
    assert str(info.weight_dtype("bfloat16")) == "torch.bfloat16"
    assert str(info.weight_dtype("float32")) == "torch.float16"  # as SGLang does
    with pytest.raises(WarpsmithError, match="fp7"):
        ServerInfo(**INFO | {"dtype": "fp7"}).weight_dtype("bfloat16")
