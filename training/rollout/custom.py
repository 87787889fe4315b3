"""Code of the user's own that a profile names as `module:function`, and the checks of what it gives.

Rewards are described in rewards.py, filters in buffer.py. `docs/custom-code.md` has an example of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from evaluation.errors import WarpsmithError
from training.rollout.buffer import Sample, load_filter
from training.rollout.engine import Completion, RolloutEngine, Sampling
from training.rollout.prompts import PromptRow
from training.rollout.rewards import KERNEL, Response, Reward, load_function
from training.rollout.settings import RolloutSettings


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
    if settings.reward_function != KERNEL:
        load_function(settings.reward_function)


def load_generate(name: str | None) -> GenerateFunction | None:
    """The generate function that a profile names, with its results checked."""
    if name is None:
        return None
    function: GenerateFunction = load_function(name)

    def checked(request: GenerateInput) -> Generated:
        generated = function(request)
        if not isinstance(generated, Generated):
            raise _wrong(name, generated, "a training.rollout.custom.Generated")
        _check_lengths(name, generated.completion, generated.loss_mask)
        return generated

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
        groups = range(rollout.first_group, rollout.first_group + len(rollout.rows))
        for sample in samples:
            if sample.group_index not in groups:
                raise WarpsmithError(
                    f"{name} gave a sample of group {sample.group_index}; number them {groups.start} to "
                    f"{groups.stop - 1}, by their row"
                )
            _check_lengths(name, sample.completion, sample.loss_mask)
        return list(samples)

    return checked


def _check_lengths(name: str, completion: Completion, loss_mask: Sequence[bool]) -> None:
    tokens = len(completion.token_ids)
    if len(completion.logprobs) != tokens or (loss_mask and len(loss_mask) != tokens):
        raise WarpsmithError(
            f"{name} gave {tokens} tokens with {len(completion.logprobs)} logprobs and a loss_mask of "
            f"{len(loss_mask)}; give one of each for every token, or no loss_mask at all"
        )


def _wrong(name: str, given: object, wanted: str) -> WarpsmithError:
    return WarpsmithError(f"{name} gave a {type(given).__name__}; it must return {wanted}")
