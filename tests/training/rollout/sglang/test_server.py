"""The engine against the real SGLang server: what it samples, its weights, its interruptions, its death."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from transformers import Qwen3ForCausalLM

from evaluation.errors import WarpsmithError
from tests.training.rollout.sglang.conftest import served
from training.rollout.engine import FinishReason, Sampling
from training.rollout.open import open_engine

pytestmark = [pytest.mark.sglang, pytest.mark.slow]

PROMPTS = [(5, 6, 7), (9, 8), (20, 21, 22, 23)]


def sampling(seed: int = 0, **changes) -> Sampling:
    return Sampling(**({"max_new_tokens": 12, "seed": seed} | changes))


@pytest.fixture(scope="session")
def model(model_dir):
    """The same model in transformers, in float32."""
    return Qwen3ForCausalLM.from_pretrained(model_dir).eval()


def changed(model: Qwen3ForCausalLM, seed: int) -> Qwen3ForCausalLM:
    """A copy with other weights."""
    other = Qwen3ForCausalLM(model.config).eval()
    other.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return other


def weights(model: Qwen3ForCausalLM) -> list:
    return [(name, value.detach()) for name, value in model.named_parameters()]


@torch.no_grad()
def logprobs(model: Qwen3ForCausalLM, prompt, completion, temperature: float = 1.0) -> torch.Tensor:
    """Log-probabilities of a completion's tokens, by transformers."""
    ids = torch.tensor([[*prompt, *completion.token_ids]])
    logits = model(ids).logits[0, len(prompt) - 1 : -1].float() / temperature
    return logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None]).squeeze(-1)


def assert_of(model: Qwen3ForCausalLM, prompt, completion, temperature: float = 1.0) -> None:
    """That a completion's log-probabilities are those that `model` gives its tokens."""
    expected = logprobs(model, prompt, completion, temperature)
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("temperature", "top_p", "top_k"), [(1.0, 1.0, -1), (0.6, 0.8, 20)])
def test_logprobs_are_before_truncation_and_after_temperature(own_engine, model, temperature, top_p, top_k):
    asked = [sampling(i, temperature=temperature, top_p=top_p, top_k=top_k) for i in range(len(PROMPTS))]
    for prompt, completion in zip(PROMPTS, own_engine.generate(PROMPTS, asked), strict=True):
        assert len(completion.token_ids) == 12 and completion.finish_reason is FinishReason.LENGTH
        assert completion.weight_version == 0
        assert_of(model, prompt, completion, temperature)


def test_greedy_takes_the_likeliest_token(own_engine, model):
    (completion,) = own_engine.generate(PROMPTS[:1], [sampling(temperature=0)])
    ids = list(PROMPTS[0])
    for token in completion.token_ids:
        assert token == int(model(torch.tensor([ids])).logits[0, -1].argmax())
        ids.append(token)
    assert_of(model, PROMPTS[0], completion)


def test_a_stop_token_ends_a_completion_and_is_its_last(own_engine):
    (free,) = own_engine.generate(PROMPTS[:1], [sampling(temperature=0)])
    stop = free.token_ids[0]
    (stopped,) = own_engine.generate(PROMPTS[:1], [sampling(temperature=0, stop_token_ids=(stop,))])
    assert stopped.token_ids == (stop,) and stopped.finish_reason is FinishReason.STOP


def test_the_longest_request_is_answered_in_full(own_engine):
    longest = own_engine._limits.longest
    prompt = [5] * 20
    (completion,) = own_engine.generate([prompt], [sampling(max_new_tokens=longest - 20)])
    assert len(completion.token_ids) == longest - 20
    with pytest.raises(WarpsmithError, match="exceed"):
        own_engine.generate([prompt], [sampling(max_new_tokens=longest - 19)])


@pytest.mark.parametrize("way", ["tensor", "disk", "distributed"])
def test_new_weights(url, model_dir, model, way, monkeypatch):
    """Every update is proven by checksums, and the log-probabilities show it."""
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")  # as torchrun sets it
    settings = served(engine_urls=(url,), weight_sync=way, weight_check_interval=1)
    with open_engine(settings, model_dir, load_weights=False) as engine:
        for version in (3, 4):
            other = changed(model, version)
            engine.update_weights(weights(other), version)
            for prompt, completion in zip(PROMPTS, engine.generate(PROMPTS, [sampling()] * 3), strict=True):
                assert completion.weight_version == version
                assert_of(other, prompt, completion)


def test_a_tensor_that_does_not_arrive_is_found(url, model_dir, model):
    with open_engine(served(engine_urls=(url,)), model_dir, load_weights=False) as engine:
        transfer = engine._weights._transfer
        send = transfer.send

        def corrupting(bucket):
            entry = next(entry for entry in bucket.entries if "layers.1.mlp.up_proj" in entry.name)
            bucket.data[entry.start] += 1
            send(bucket)
            bucket.data[entry.start] -= 1

        transfer.send = corrupting
        with pytest.raises(
            WarpsmithError, match=r"not the trainer's: model\.layers\.1\.mlp\.gate_up_proj\.weight"
        ):
            engine.update_weights(weights(model), 5)


def test_too_many_new_tokens_are_refused_at_the_start(url, model_dir):
    settings = served(engine_urls=(url,), max_new_tokens=1000)
    with (
        pytest.raises(WarpsmithError, match="leaves no room"),
        open_engine(settings, model_dir, load_weights=False),
    ):
        pass


LONG = {"max_new_tokens": 100}


def in_thread(engine, prompts, asked) -> tuple[threading.Thread, list]:
    """`generate` in another thread; its completions are in the list when it ends."""
    done: list = []
    thread = threading.Thread(target=lambda: done.extend(engine.generate(prompts, asked)))
    thread.start()
    return thread, done


def test_abort_keeps_the_tokens_so_far(url, model_dir, model):
    with open_engine(served(engine_urls=(url,)), model_dir, load_weights=False) as engine:
        engine.update_weights(weights(model), 6)
        prompts = [PROMPTS[0]] * 30
        thread, done = in_thread(engine, prompts, [sampling(i, **LONG) for i in range(30)])
        time.sleep(0.3)
        engine.abort()
        thread.join()
        assert any(completion.finish_reason is FinishReason.ABORT for completion in done)
        for completion in done:
            assert len(completion.token_ids) <= 100
            assert completion.token_ids == () or completion.weight_version == 6
        longest = max(done, key=lambda completion: len(completion.token_ids))
        assert_of(model, PROMPTS[0], longest)


def test_an_update_interrupts_and_loses_nothing(url, model_dir, model):
    """Requests under way go on with the new weights: the tail of each is the new model's."""
    with open_engine(served(engine_urls=(url,)), model_dir, load_weights=False) as engine:
        engine.update_weights(weights(model), 7)
        thread, done = in_thread(engine, [PROMPTS[0]] * 30, [sampling(i, **LONG) for i in range(30)])
        time.sleep(0.3)
        other = changed(model, 8)
        engine.update_weights(weights(other), 8)
        thread.join()
        assert [len(completion.token_ids) for completion in done] == [100] * 30
        late = [completion for completion in done if completion.weight_version == 8]
        assert late
        tail = logprobs(other, PROMPTS[0], late[0])[-5:]
        torch.testing.assert_close(torch.tensor(late[0].logprobs[-5:]), tail, atol=2e-5, rtol=0)


def server_under(guard: int) -> int:
    """The process that a guard runs."""
    return int(Path(f"/proc/{guard}/task/{guard}/children").read_text().split()[0])


def test_a_server_that_is_killed_comes_back_and_nothing_is_lost(own_engine, model):
    """It restarts with random weights, is given the latest again, and answers what it had been asked."""
    other = changed(model, 9)
    own_engine.update_weights(weights(other), 9)
    (member,) = own_engine._fleet.members
    thread, done = in_thread(own_engine, [PROMPTS[0]] * 8, [sampling(i, **LONG) for i in range(8)])
    time.sleep(0.2)
    os.kill(server_under(member.pid), signal.SIGKILL)
    thread.join()
    assert member.restarts == 1
    assert [len(completion.token_ids) for completion in done] == [100] * 8
    assert {completion.weight_version for completion in done} == {9}
    assert_of(other, PROMPTS[0], done[0])
