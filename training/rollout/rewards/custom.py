"""Code of the user's own that a profile names as `module:function`, and the checks of what it gives.

Rewards are described in rewards.py, filters in buffer.py. `docs/custom-code.md` has an example of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from evaluation.errors import WarpsmithError
from training.rollout.buffer import Sample, load_filter
from training.rollout.engine import Completion, FinishReason, RolloutEngine, Sampling
from training.rollout.prompts import PromptRow
from training.rollout.rewards.rewards import Response, Reward, checked_reward, load_function
from training.settings.rollout import BUILT_IN, RolloutSettings


@dataclass(frozen=True, slots=True)
class GenerateInput:
    """One response to write."""

    row: PromptRow
    prompt_ids: tuple[int, ...]
    """The row's chat as tokens, up to where the response begins."""
    sampling: Sampling
    """How to sample; a seed of its own for each further turn keeps the turns independent."""
    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Generated:
    """A response as it is trained on and rewarded."""

    completion: Completion
    """All tokens after the prompt, those of tools included (their log-probabilities may be anything)."""
    loss_mask: tuple[bool, ...] = ()
    """Which of the tokens the model wrote; empty means all."""


class GenerateFunction(Protocol):
    """Writes one response; called from several threads at once where the engine is shared."""

    def __call__(self, request: GenerateInput) -> Generated:
        """The response to `request.row`."""
        ...


@dataclass(frozen=True, slots=True)
class RolloutInput:
    """A round of prompts to answer, on rank 0."""

    step: int
    """The training step that the rollout is for: 0, 1, ..."""
    rows: tuple[PromptRow, ...]
    """The prompts drawn."""
    first_group: int
    """Number of the first row's group; the next row's is one more, and so on."""
    samples_per_prompt: int
    sampling: Callable[[int], Sampling]
    """How to sample the response of a number: a different seed for each."""
    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase
    score: Callable[[Sequence[Response]], list[Reward]]
    """The profile's reward function."""


class RolloutFunction(Protocol):
    """Writes and rewards the responses of a round, on rank 0 with its engine."""

    def __call__(self, rollout: RolloutInput) -> Sequence[Sample]:
        """Any number of samples of each row, under its group's number."""
        ...


def check_functions(settings: RolloutSettings) -> None:
    """Raise WarpsmithError if a function that the profile names is not there."""
    load_generate(settings.generate_function)
    load_rollout(settings.rollout_function)
    load_filter(settings.filter_function)
    if settings.reward_function not in BUILT_IN:
        load_function(settings.reward_function)


def load_generate(name: str | None) -> GenerateFunction | None:
    """The generate function that a profile names, with its results checked."""
    if name is None:
        return None
    function: GenerateFunction = load_function(name)

    def checked(request: GenerateInput) -> Generated:
        generated = function(request)
        if not isinstance(generated, Generated):
            raise _wrong(name, generated, "a training.rollout.rewards.custom.Generated")
        return Generated(*_checked(name, generated.completion, generated.loss_mask))

    return checked


def load_rollout(name: str | None) -> RolloutFunction | None:
    """The rollout function that a profile names, with its results checked."""
    if name is None:
        return None
    function: RolloutFunction = load_function(name)

    def checked(rollout: RolloutInput) -> list[Sample]:
        samples = function(rollout)
        if not isinstance(samples, Sequence) or not all(isinstance(sample, Sample) for sample in samples):
            raise _wrong(name, samples, "a sequence of training.rollout.buffer.Sample")
        if not samples:
            raise WarpsmithError(f"{name} gave no samples for {len(rollout.rows)} prompts; give at least one")
        return [_checked_sample(name, sample, rollout) for sample in samples]

    return checked


def check_vocabulary(samples: Sequence[Sample], vocab_size: int) -> None:
    """Raise WarpsmithError for a token that the model does not have, which would be an assertion on a GPU."""
    largest = max((max((*s.prompt_ids, *s.completion.token_ids), default=0) for s in samples), default=0)
    if largest >= vocab_size:
        raise WarpsmithError(
            f"a response has the token id {largest}, but the model's are 0..{vocab_size - 1}; have the "
            "generate or rollout function use the tokenizer that it is given"
        )


def _checked_sample(name: str, sample: Sample, rollout: RolloutInput) -> Sample:
    """The sample with its numbers in their types; WarpsmithError if it cannot be trained on."""
    groups = range(rollout.first_group, rollout.first_group + len(rollout.rows))
    if sample.group_index not in groups:
        raise WarpsmithError(
            f"{name} gave a sample of group {sample.group_index}; number them {groups.start} to "
            f"{groups.stop - 1}, by their row"
        )
    for field, kind in (("row", PromptRow), ("text", str), ("reward", Reward)):
        if not isinstance(getattr(sample, field), kind):
            raise _wrong(name, getattr(sample, field), f"a {kind.__name__} as a sample's {field}")
    completion, loss_mask = _checked(name, sample.completion, sample.loss_mask)
    if completion.weight_version > rollout.step:
        raise _wrong_version(name, completion.weight_version)
    return replace(
        sample,
        prompt_ids=_token_ids(name, "prompt_ids", sample.prompt_ids),
        completion=completion,
        loss_mask=loss_mask,
        reward=checked_reward(sample.reward, name),
    )


def _checked(
    name: str, completion: Completion, loss_mask: Sequence[bool]
) -> tuple[Completion, tuple[bool, ...]]:
    """A completion and its mask with their numbers in their types; WarpsmithError if they make no sense."""
    if not isinstance(completion, Completion):
        raise _wrong(name, completion, "a training.rollout.engine.Completion as the completion")
    if completion.finish_reason not in tuple(FinishReason):
        raise _wrong(name, completion.finish_reason, "a training.rollout.engine.FinishReason")
    version = completion.weight_version
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise _wrong_version(name, version)
    token_ids = _token_ids(name, "token_ids", completion.token_ids)
    logprobs = _flat(name, "logprobs", completion.logprobs, "iuf").astype(np.float64)
    mask = _flat(name, "loss_mask", loss_mask, "biu").astype(bool)
    if len(logprobs) != len(token_ids) or (len(mask) and len(mask) != len(token_ids)):
        raise WarpsmithError(
            f"{name} gave {len(token_ids)} tokens with {len(logprobs)} logprobs and a loss_mask of "
            f"{len(mask)}; give one of each for every token, or no loss_mask at all"
        )
    if not np.isfinite(logprobs[mask] if len(mask) else logprobs).all():
        raise WarpsmithError(
            f"{name} gave a logprob that is not finite for a token that is trained on; give the engine's, or "
            "leave the token out by loss_mask"
        )
    reason = FinishReason(completion.finish_reason)
    return Completion(token_ids, tuple(logprobs.tolist()), reason, version), tuple(mask.tolist())


def _token_ids(name: str, field: str, values: Sequence[int]) -> tuple[int, ...]:
    """Ids that a tokenizer can look up; `check_vocabulary` compares them with the model's."""
    ids = _flat(name, field, values, "iu")
    if len(ids) and not 0 <= ids.min() <= ids.max() < 2**31:
        raise WarpsmithError(f"{name} gave the {field} {ids.min()}..{ids.max()}; give a tokenizer's ids")
    return tuple(ids.tolist())


def _flat(name: str, field: str, values: Sequence[float], kinds: str) -> NDArray[Any]:
    """`values`, which may be numpy's or torch's, as an array of one dimension of one of numpy's kinds."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # of several lengths, or on a GPU
        array = np.empty(())
    if array.ndim != 1 or (len(array) and array.dtype.kind not in kinds):
        raise _wrong(name, values, f"numbers in one sequence as {field}")
    return array


def _wrong_version(name: str, version: object) -> WarpsmithError:
    return WarpsmithError(
        f"{name} gave a completion of weight_version {version!r:.60}; give that of the engine's completion"
    )


def _wrong(name: str, given: object, wanted: str) -> WarpsmithError:
    return WarpsmithError(f"{name} gave a {type(given).__name__}; it must return {wanted}")
