"""The in-process engine against transformers, and the independence of its requests."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen3Config, Qwen3ForCausalLM

from evaluation.errors import WarpsmithError
from tests.training.tiny import FAMILIES, family
from training.objective.losses import token_logprobs
from training.rollout.engine import FinishReason, RolloutEngine, Sampling
from training.rollout.local.decoder import Decoder
from training.rollout.local.engine import LocalEngine
from training.rollout.local.sampler import Sampler, inverse_cdf, truncate
from training.settings.architecture import read_architecture

VOCABULARY = 97
PROMPTS = [[5, 6, 7], [8] * 11, [9, 10], [5, 6, 7], [11, 12, 13, 14, 15]]


def save_model(path, *, tied=True, heads=4, kv_heads=2, std=0.15, seed=0, **other):
    """A random Qwen3, wide enough in its logits to have likely and unlikely tokens, saved to `path`."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=16, max_position_embeddings=64,
        tie_word_embeddings=tied, initializer_range=std, rope_theta=10_000.0, **other,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:  # ones at first, which would hide a norm weight in the wrong place
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model.save_pretrained(path)
    return model


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("qwen3")


@pytest.fixture(scope="module")
def model(model_dir):
    return save_model(model_dir)


@pytest.fixture(scope="module")
def engine(model, model_dir):
    return LocalEngine.from_pretrained(model_dir, batch_size=8)


def requests(count, **fields):
    """Sampling settings that differ in seed and length."""
    return [Sampling(max_new_tokens=12 + i % 5, seed=100 + i, **fields) for i in range(count)]


@pytest.mark.parametrize("shape", [{}, {"tied": False}, {"kv_heads": 4}, {"kv_heads": 1}])
def test_logits_equal_transformers(tmp_path, shape):
    assert_decodes(save_model(tmp_path, **shape), tmp_path)


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_of_every_family_equal_transformers(tmp_path, name):
    model = family(name, initializer_range=0.15)
    model.save_pretrained(tmp_path)
    assert_decodes(model, tmp_path)


@torch.no_grad()
def assert_decodes(model, tmp_path):
    """Prefill and eight steps give transformers' logits."""
    decoder = Decoder(read_architecture(tmp_path), model.state_dict().items())
    sequences = [prompt + list(range(20, 28)) for prompt in PROMPTS]
    logits, cache = decoder.prefill(PROMPTS)
    cache = cache.repeat(torch.arange(len(PROMPTS)), cache.length + 8)
    for step in range(8):
        for row, (prompt, sequence) in enumerate(zip(PROMPTS, sequences, strict=True)):
            expected = model(torch.tensor([sequence[: len(prompt) + step]])).logits[0, -1]
            torch.testing.assert_close(logits[row], expected, rtol=1e-5, atol=1e-5)
        logits = decoder.step(torch.full((len(PROMPTS),), 20 + step), cache)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@torch.no_grad()
def test_logprobs_equal_the_teacher_forced_ones(engine, model, temperature):
    completions = engine.generate(PROMPTS, requests(5, temperature=temperature, top_k=20, top_p=0.9))
    for prompt, completion in zip(PROMPTS, completions, strict=True):
        ids = torch.tensor([prompt + list(completion.token_ids)])
        expected = token_logprobs(model(ids[:, :-1]).logits, ids[:, 1:], temperature)[0, len(prompt) - 1 :]
        np.testing.assert_allclose(completion.logprobs, expected, atol=1e-4)


def test_same_requests_give_the_same_bits(engine):
    assert engine.generate(PROMPTS, requests(5)) == engine.generate(PROMPTS, requests(5))


def test_a_completion_does_not_depend_on_its_company(engine):
    prompts, sampling = PROMPTS * 4, requests(20, stop_token_ids=(3, 4, 40, 41, 42, 43))
    together = engine.generate(prompts, sampling)
    assert len({c.token_ids for c in together}) > 10
    order = np.random.default_rng(0).permutation(20)
    shuffled = engine.generate([prompts[i] for i in order], [sampling[i] for i in order])
    alone = [engine.generate([p], [s])[0] for p, s in zip(prompts, sampling, strict=True)]
    for i, completion in enumerate(together):
        for other in (alone[i], shuffled[list(order).index(i)]):
            assert completion.token_ids == other.token_ids
            np.testing.assert_allclose(completion.logprobs, other.logprobs, atol=1e-5)


def test_stop_tokens_and_limits_end_a_completion(engine):
    free = engine.generate(PROMPTS, requests(5))
    assert [len(c.token_ids) for c in free] == [12, 13, 14, 15, 16]
    assert {c.finish_reason for c in free} == {FinishReason.LENGTH}
    stops = [c.token_ids[4] for c in free]
    stopped = engine.generate(
        PROMPTS,
        [Sampling(max_new_tokens=30, seed=100 + i, stop_token_ids=(1, s)) for i, s in enumerate(stops)],
    )
    for before, after, stop in zip(free, stopped, stops, strict=True):
        end = before.token_ids.index(stop) + 1
        assert after.token_ids == before.token_ids[:end]
        assert len(after.logprobs) == end
        assert after.finish_reason is FinishReason.STOP


@torch.no_grad()
def test_temperature_zero_is_greedy(engine, model):
    (completion,) = engine.generate([PROMPTS[0]], [Sampling(max_new_tokens=6, seed=0, temperature=0.0)])
    ids = list(PROMPTS[0])
    for token in completion.token_ids:
        assert token == model(torch.tensor([ids])).logits[0, -1].argmax()
        ids.append(token)


@torch.no_grad()
def test_samples_follow_the_models_distribution(engine, model):
    count = 4000
    completions = engine.generate(
        [PROMPTS[0]] * count, [Sampling(max_new_tokens=1, seed=i) for i in range(count)]
    )
    drawn = np.bincount([c.token_ids[0] for c in completions], minlength=VOCABULARY) / count
    expected = model(torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(-1).numpy()
    assert np.abs(drawn - expected).max() < 4 * np.sqrt(0.25 / count)


def test_update_weights_copies_and_names_the_version(model, model_dir):
    engine = LocalEngine(read_architecture(model_dir))
    assert isinstance(engine, RolloutEngine)
    with pytest.raises(RuntimeError, match="update_weights"):
        engine.generate(PROMPTS, requests(5))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    engine.update_weights(weights.items(), version=7)
    before = engine.generate(PROMPTS, requests(5))
    for tensor in weights.values():
        tensor.zero_()
    assert engine.generate(PROMPTS, requests(5)) == before
    assert {c.weight_version for c in before} == {7}
    engine.update_weights(weights.items(), version=8)
    assert engine.generate(PROMPTS, requests(5)) != before


def test_generate_leaves_the_thread_count_alone(engine):
    threads = torch.get_num_threads()
    engine.generate(PROMPTS, requests(5))
    assert torch.get_num_threads() == threads


def test_wrong_weights_are_named(model, model_dir):
    engine = LocalEngine(read_architecture(model_dir))
    weights = dict(model.state_dict())
    norm = "model.layers.1.self_attn.q_norm.weight"
    with pytest.raises(WarpsmithError, match=f"{norm} is missing"):
        engine.update_weights(((n, t) for n, t in weights.items() if n != norm), version=1)
    with pytest.raises(WarpsmithError, match=f"{norm} has shape"):
        engine.update_weights((weights | {norm: torch.ones(3)}).items(), version=1)
    with pytest.raises(WarpsmithError, match=r"visual\.weight is not part"):
        engine.update_weights((weights | {"visual.weight": torch.ones(3)}).items(), version=1)


def test_requests_that_cannot_work_are_refused(engine):
    one = Sampling(max_new_tokens=10, seed=0)
    for prompt, message in (([], "empty"), ([VOCABULARY], "token ids outside"), ([3] * 55, "max_position")):
        with pytest.raises(WarpsmithError, match=message):
            engine.generate([prompt], [one])
    for field, value in (
        ("max_new_tokens", 0),
        ("temperature", -1.0),
        ("top_p", 0.0),
        ("top_k", 0),
        ("seed", -1),
    ):
        with pytest.raises(ValueError, match=field):
            Sampling(**{"max_new_tokens": 1, "seed": 0, field: value})
    assert engine.generate([], []) == []


def test_folders_without_a_supported_model_are_refused(model, model_dir, tmp_path):
    with pytest.raises(WarpsmithError, match="missing"):
        LocalEngine.from_pretrained(tmp_path)
    config = json.loads((model_dir / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(WarpsmithError, match="gpt2"):
        LocalEngine.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WarpsmithError, match="safetensors"):
        LocalEngine.from_pretrained(tmp_path)


def test_weight_shapes_are_transformers(tmp_path):
    for tied in (True, False):
        model = save_model(tmp_path, tied=tied)
        expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        assert read_architecture(tmp_path).weight_shapes() == expected


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_inverse_cdf_chooses_what_numpy_would_and_never_an_impossible_token(weights, uniform):
    weights = np.array(weights)
    weights[weights < 1e-9] = 0
    weights[0] = max(weights[0], 0.25)
    token = inverse_cdf(torch.from_numpy(weights[None]), torch.tensor([uniform], dtype=torch.float64)).item()
    assert weights[token] > 0
    cumulative = weights.cumsum()
    assert cumulative[token] >= uniform * cumulative[-1] >= cumulative[token] - weights[token] - 1e-12


def test_truncation_keeps_the_likeliest_tokens():
    probabilities = torch.tensor([[0.1, 0.4, 0.2, 0.3]] * 4, dtype=torch.float64)
    top_p = torch.tensor([[1.0], [0.6], [1.0], [0.5]], dtype=torch.float64)
    top_k = torch.tensor([[-1], [-1], [1], [2]])
    kept = truncate(probabilities, top_p, top_k) > 0
    assert kept.int().tolist() == [[1, 1, 1, 1], [0, 1, 0, 1], [0, 1, 0, 0], [0, 1, 0, 0]]


def test_a_rows_draws_survive_the_removal_of_others():
    sampling = [Sampling(max_new_tokens=4 + i, seed=i, top_k=i + 1) for i in range(4)]
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    whole, part = Sampler(sampling), Sampler(sampling)
    order = torch.tensor([3, 1])
    part.keep(order)
    for position in range(3):
        tokens, logprobs = whole.draw(logits, position)
        fewer, their_logprobs = part.draw(logits[order], position)
        assert fewer.tolist() == tokens[order].tolist()
        torch.testing.assert_close(their_logprobs, logprobs[order])
