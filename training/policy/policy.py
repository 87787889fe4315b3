"""The model in training under GRPO: from the samples of a rollout to optimizer steps.

Formulas: advantages.py and losses.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.checkpoint.gather import hf_weights
from training.objective.advantages import group_advantages
from training.objective.batch import OLD, REFERENCE, ROLLOUT, Example, Floats, Tokens
from training.objective.losses import LossOutput, loss_normalizer, policy_loss
from training.objective.ratios import with_sequence_means
from training.optimize.speed import speed_metrics
from training.optimize.trainer import Trainer
from training.rollout.buffer import Sample
from training.rollout.rewards.custom import check_vocabulary
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings

Score = Callable[[Sequence[Example], float], Sequence[Floats]]
"""From examples and a temperature to log-probabilities of every example's response tokens; collective."""
#: Most that the first update's mean ratio may differ from 1, and the largest share of its tokens clipped.
_MOST_CHANGED = 0.01
_QUANTILE, _QUANTILE_FACTOR = 0.999, 10.0
"""The quantile of engine mismatches that is looked at, and how many times the mean's tolerance it may be."""


class Policy:
    """The model in training and how a rollout changes it."""

    def __init__(
        self,
        trainer: Trainer,
        settings: GrpoSettings,
        rollout: RolloutSettings,
        reference: Score | None,
    ) -> None:
        """`reference` gives log-probabilities under the starting policy; none where nothing asks for them."""
        self.settings = settings
        self._trainer = trainer
        self._rollout = rollout
        self._reference = reference
        self._engine_checked = False

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """All weights by their Hugging Face names; collective."""
        return hf_weights(self._trainer.model, self._trainer.architecture)

    def speed(self, updated: Mapping[str, float], seconds: float) -> dict[str, float]:
        """How fast an update with these metrics was, in so many seconds, and what memory it took."""
        return speed_metrics(updated.get("train/flops", 0.0), seconds, self._trainer.peak_rate)

    def update(self, samples: Sequence[Sample], step: int) -> list[dict[str, float]]:
        """Train on the samples of one rollout, in minibatches drawn by (seed, step); collective.

        Samples whose advantage is 0 are not computed where they have no gradient, that is without a KL term,
        but minibatches are drawn from all samples and the loss is divided by all of them, so that a step with
        few groups that teach something is a small one. With `overlong_filter` truncated samples are neither
        computed nor counted. What is reported are means over the samples computed.
        A minibatch without any takes no optimizer step. Returns what each optimizer step reported.

        Raises:
            WarpsmithError: a sample has a token that the model does not have, or the engine another policy.
        """
        check_vocabulary(samples, self._trainer.architecture.vocab_size)
        # Only what the current weights wrote can be compared; after a resume of an asynchronous run none is.
        first = not self._engine_checked and all(s.completion.weight_version == step for s in samples)
        examples = self._examples(samples)
        if not examples:
            return []
        examples = self._with_logprobs(examples, first)
        if first:
            self._check_engine(examples.values())
        # Minibatches that were not needed count too, or the learning rate would never finish its way.
        self._trainer.skip_to(step * self.settings.minibatches)
        order = np.random.default_rng([self.settings.seed, step]).permutation(len(samples))
        reports = []
        for part in np.array_split(order, self.settings.minibatches):
            computed = [examples[index] for index in part if index in examples]
            if computed:
                normalizer = self._normalizer([samples[index] for index in part])
                reports.append(self._optimize(computed, normalizer))
        if first:
            _check_first(reports[0])
        return reports

    def _normalizer(self, samples: Sequence[Sample]) -> float:
        """What the loss of a minibatch is divided by: all its samples count, computed or not."""
        lengths = [sample.learnt for sample in samples if not self._is_filtered(sample)]
        return loss_normalizer(lengths, self.settings.aggregation, self._rollout.max_new_tokens)

    def _examples(self, samples: Sequence[Sample]) -> dict[int, Example]:
        """The samples with a gradient, by their place in `samples`."""
        advantages = group_advantages(
            torch.tensor([sample.reward.value for sample in samples]),
            torch.tensor([sample.group_index for sample in samples]),
            self.settings.advantage,
        ).tolist()
        return {
            place: _example(sample, advantage)
            for place, (sample, advantage) in enumerate(zip(samples, advantages, strict=True))
            if sample.learnt
            and (advantage or self.settings.kl_coefficient > 0)
            and not self._is_filtered(sample)
        }

    def _is_filtered(self, sample: Sample) -> bool:
        """Whether a sample is left out because it was cut off (DAPO's overlong filtering, 2503.14476)."""
        return self.settings.overlong_filter and sample.truncated

    def _with_logprobs(self, examples: Mapping[int, Example], first: bool) -> dict[int, Example]:
        """Add what other policies than the one in training give: the old one's and the reference's.

        Where one optimizer step follows a rollout the old policy is the one in training, and its own forward
        pass gives its log-probabilities; only the first step's checks compare them with another pass.
        """
        rows, temperature = list(examples.values()), self._rollout.training_temperature
        scores: dict[str, Sequence[Floats]] = {}
        if first or self.settings.minibatches > 1:
            scores[OLD] = self._trainer.logprobs(rows, temperature)
        if self._reference is not None:
            scores[REFERENCE] = self._reference(rows, temperature)
        return {
            place: replace(
                example,
                logprobs={**(example.logprobs or {}), **{name: found[i] for name, found in scores.items()}},
            )
            for i, (place, example) in enumerate(examples.items())
        }

    def _optimize(self, examples: Sequence[Example], normalizer: float) -> dict[str, float]:
        """One optimizer step."""

        def loss(logprobs: Tensor, entropies: Tensor, tokens: Tokens) -> LossOutput:
            return policy_loss(
                logprobs,
                tokens.logprobs.get(OLD),
                tokens.advantages,
                tokens.mask,
                self.settings,
                normalizer=normalizer,
                response_lengths=tokens.response_lengths,
                rollout_logprobs=tokens.logprobs[ROLLOUT],
                ref_logprobs=tokens.logprobs.get(REFERENCE),
                entropies=entropies,
                sequence_means=tokens.sequence_means,
            )

        prepare = with_sequence_means if self.settings.needs_whole_sequences else None
        return self._trainer.step(examples, loss, self._rollout.training_temperature, prepare)

    def _check_engine(self, examples: Iterable[Example]) -> None:
        """Stop a run whose engine does not sample from the policy that is trained.

        By the mean and a high quantile of |logp_trainer - logp_engine|: in low precision a few rare tokens of
        a large rollout differ by far more than the rest, and mean nothing.
        """
        self._engine_checked = True
        pairs = [np.array(_pair(example)) for example in examples]
        differences = np.abs(np.concatenate([old - sampled for old, sampled in pairs]))
        mean, high = float(differences.mean()), float(np.quantile(differences, _QUANTILE))
        tolerance = self.settings.mismatch_tolerance
        if not (mean <= tolerance and high <= _QUANTILE_FACTOR * tolerance):  # NaN too
            raise WarpsmithError(
                f"the engine's log-probabilities differ from the trainer's by {mean:.2g} in the mean, "
                f"{high:.2g} at the {_QUANTILE:.1%} quantile and {differences.max():.2g} at most; "
                f"grpo.mismatch_tolerance allows {tolerance:.2g} in the mean and {_QUANTILE_FACTOR:g} times "
                "that at the quantile: raise it for low precision, or report a bug"
            )


def _example(sample: Sample, advantage: float) -> Example:
    """A response as one sequence, whatever tools or users wrote between its turns."""
    mask, logprobs = sample.loss_mask, sample.completion.logprobs
    if mask:
        logprobs = tuple(value for value, learnt in zip(logprobs, mask, strict=True) if learnt)
    return Example(sample.prompt_ids, sample.completion.token_ids, advantage, {ROLLOUT: logprobs}, mask)


def _pair(example: Example) -> tuple[Floats, Floats]:
    logprobs = example.logprobs or {}
    return logprobs[OLD], logprobs[ROLLOUT]


def _check_first(report: Mapping[str, float]) -> None:
    """Before the first optimizer step policy and old policy are the same: ratio 1, nothing clipped.

    In bfloat16 they are nearly so, since the two passes pack sequences differently. Raises WarpsmithError.
    """
    ratio = report["ratio"] / report["tokens"]
    clipped = report["clip_low"] + report["clip_high"]
    if not (abs(ratio - 1) <= _MOST_CHANGED and clipped <= _MOST_CHANGED * report["tokens"]):
        raise WarpsmithError(
            f"the first update saw a mean ratio of {ratio:.4g} and {clipped:.0f} clipped tokens, though the "
            "policy is still the old one (1 and 0): the model computes differently in training and scoring; "
            "turn dropout and fused kernels off, or report a bug"
        )
