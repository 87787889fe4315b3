"""The model in training under GRPO: from the samples of a rollout to optimizer steps.

Formulas: advantages.py and losses.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.advantages import group_advantages
from training.batch import Example, Tokens
from training.checkpoint.weights import hf_weights
from training.losses import LossOutput, loss_normalizer, policy_loss
from training.model.gpt import GPTBackbone
from training.optimization import GrpoSettings
from training.rollout.buffer import Sample
from training.rollout.custom import check_vocabulary
from training.rollout.settings import RolloutSettings
from training.trainer import Trainer

#: Names of the policies whose log-probabilities an example carries.
OLD, ROLLOUT, REFERENCE = "old", "rollout", "reference"
#: Most that the first update's mean ratio may differ from 1, and the largest share of its tokens clipped.
_MOST_CHANGED = 0.01


class Policy:
    """The model in training and how a rollout changes it."""

    def __init__(
        self,
        trainer: Trainer,
        settings: GrpoSettings,
        rollout: RolloutSettings,
        reference: GPTBackbone | None,
    ) -> None:
        self.settings = settings
        self._trainer = trainer
        self._rollout = rollout
        self._reference = reference
        self._engine_checked = False

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """All weights by their Hugging Face names; collective."""
        return hf_weights(self._trainer.model, self._trainer.architecture)

    def update(self, samples: Sequence[Sample], step: int) -> list[dict[str, float]]:
        """Train on the samples of one rollout, in minibatches drawn by (seed, step); collective.

        Samples whose advantage is 0 are left out where they have no gradient, that is without a KL term. A
        response over several turns gives an example for each, which all have the response's advantage.
        Returns what each optimizer step reported.

        Raises:
            WarpsmithError: a sample has a token that the model does not have, or the engine another policy.
        """
        check_vocabulary(samples, self._trainer.architecture.vocab_size)
        examples = self._examples(samples)
        if not examples:
            return []
        examples = self._with_logprobs(examples)
        # Only what the current weights wrote can be compared; after a resume of an asynchronous run none is.
        first = not self._engine_checked and all(s.completion.weight_version == step for s in samples)
        if first:
            self._check_engine(examples)
        # Minibatches that were not needed count too, or the learning rate would never finish its way.
        self._trainer.skip_to(step * self.settings.minibatches)
        order = np.random.default_rng([self.settings.seed, step]).permutation(len(examples))
        parts = [part for part in np.array_split(order, self.settings.minibatches) if len(part)]
        reports = [self._optimize([examples[index] for index in part]) for part in parts]
        if first:
            _check_first(reports[0], self.settings.mismatch_tolerance)
        return reports

    def _examples(self, samples: Sequence[Sample]) -> list[Example]:
        advantages = group_advantages(
            torch.tensor([sample.reward.value for sample in samples]),
            torch.tensor([sample.group_index for sample in samples]),
            self.settings.advantage,
        ).tolist()
        return [
            Example(
                sample.prompt_ids + sample.completion.token_ids[: turn.start],
                sample.completion.token_ids[turn],
                advantage,
                {ROLLOUT: sample.completion.logprobs[turn]},
            )
            for sample, advantage in zip(samples, advantages, strict=True)
            if advantage or self.settings.kl_coefficient > 0
            for turn in sample.turns
        ]

    def _with_logprobs(self, examples: Sequence[Example]) -> list[Example]:
        """Add the trainer's own log-probabilities before the update, and the reference's if there is one."""
        temperature = self._rollout.training_temperature
        scores = {OLD: self._trainer.logprobs(examples, temperature)}
        if self._reference is not None:
            scores[REFERENCE] = self._trainer.logprobs(examples, temperature, self._reference)
        return [
            replace(
                example,
                logprobs={**(example.logprobs or {}), **{name: rows[i] for name, rows in scores.items()}},
            )
            for i, example in enumerate(examples)
        ]

    def _optimize(self, examples: Sequence[Example]) -> dict[str, float]:
        """One optimizer step."""
        lengths = [len(example.response) for example in examples]
        normalizer = loss_normalizer(lengths, self.settings.aggregation, self._rollout.max_new_tokens)

        def loss(logprobs: Tensor, entropies: Tensor, tokens: Tokens) -> LossOutput:
            return policy_loss(
                logprobs,
                tokens.logprobs[OLD],
                tokens.advantages,
                tokens.mask,
                self.settings,
                normalizer=normalizer,
                response_lengths=tokens.response_lengths,
                rollout_logprobs=tokens.logprobs[ROLLOUT],
                ref_logprobs=tokens.logprobs.get(REFERENCE),
                entropies=entropies,
            )

        return self._trainer.step(examples, loss, self._rollout.training_temperature)

    def _check_engine(self, examples: Sequence[Example]) -> None:
        """Stop a run whose engine does not sample from the policy that is trained."""
        self._engine_checked = True
        differences = [
            abs(old - sampled) for example in examples for old, sampled in zip(*_pair(example), strict=True)
        ]
        largest = float(np.max(differences))  # NaN if one is, unlike Python's max
        tolerance = self.settings.mismatch_tolerance
        if not largest <= tolerance:
            raise WarpsmithError(
                f"the engine's log-probabilities differ from the trainer's by up to {largest:.2g}, more than "
                f"grpo.mismatch_tolerance {tolerance:.2g}; raise it for low precision, or report a bug"
            )


def _pair(example: Example) -> tuple[tuple[float, ...], tuple[float, ...]]:
    logprobs = example.logprobs or {}
    return logprobs[OLD], logprobs[ROLLOUT]


def _check_first(report: Mapping[str, float], tolerance: float) -> None:
    """Before the first optimizer step policy and old policy are the same: ratio 1, nothing clipped.

    In bfloat16 they are nearly so, since the two passes pack sequences differently; the engine's tolerance
    alone, which is for single tokens, would let anything pass.
    """
    allowed = min(tolerance, _MOST_CHANGED)
    ratio = report["ratio"] / report["tokens"]
    clipped = report["clip_low"] + report["clip_high"]
    if not (abs(ratio - 1) <= allowed and clipped <= allowed * report["tokens"]):
        raise AssertionError(
            f"first update: mean ratio {ratio}, {clipped:.0f} tokens clipped; must be 1 and 0"
        )
