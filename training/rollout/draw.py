"""One rollout over all ranks: prompts drawn, responses generated side by side, judged once.

Every rank generates for its share of the prompts with its own engine; rank 0 judges all responses (its
judge has worker processes of its own) and tells the others. All ranks return the same groups.

What is sampled depends on the seed, the step and a response's number in the step alone, never on a random
stream that runs on: so a resumed run samples what the uninterrupted one would have.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from transformers import PreTrainedTokenizerBase

from training.advantages import overlong_penalty
from training.config import GrpoSettings, RolloutSettings
from training.rollout.buffer import Collection, Group, Sample, collect, group_samples, load_filter
from training.rollout.engine import Completion, RolloutEngine, Sampling
from training.rollout.prompts import PromptCursor, PromptRow
from training.rollout.rewards import Response, Reward, RewardFunction, score
from training.tokenizer import decode_response, encode_prompt, stop_token_ids


@dataclass
class Seconds:
    """Where the time of a rollout went."""

    generate: float = 0.0
    score: float = 0.0


class Rollouts:
    """Draws the rollouts of a GRPO run. Collective: all ranks call it alike."""

    def __init__(
        self,
        rows: Sequence[PromptRow],
        cursor: PromptCursor,
        tokenizer: PreTrainedTokenizerBase,
        engine: RolloutEngine,
        reward: RewardFunction | None,
        grpo: GrpoSettings,
        rollout: RolloutSettings,
    ) -> None:
        """`reward` is needed on rank 0 only."""
        self._rows, self._cursor = rows, cursor
        self._tokenizer, self._engine, self._reward = tokenizer, engine, reward
        self._grpo, self._rollout = grpo, rollout
        self._keep = load_filter(rollout.filter_function)

    def collect(self, step: int) -> tuple[Collection, Seconds]:
        """The groups to train on in `step` (0, 1, ...)."""
        seconds = Seconds()
        collection = collect(
            lambda count, first: self._draw(step, count, first, seconds),
            self._keep,
            wanted=self._grpo.prompts_per_step,
            max_rounds=self._grpo.sampling_rounds,
        )
        return collection, seconds

    def _draw(self, step: int, count: int, first: int, seconds: Seconds) -> list[Group]:
        """Generate and reward `count` new groups, numbered from `first`."""
        rows = [self._rows[index] for index in self._cursor.take(count)]
        prompts = [tuple(encode_prompt(self._tokenizer, row.messages)) for row in rows]
        start = time.perf_counter()
        completions = self._generate(step, first, prompts)
        generated = time.perf_counter()
        samples = self._judge(rows, prompts, completions, first)
        seconds.generate += generated - start
        seconds.score += time.perf_counter() - generated
        if self._grpo.shuffle_rewards:
            samples = _shuffle_rewards(samples, [self._grpo.seed, step, first])
        return group_samples(samples)

    def _generate(
        self, step: int, first: int, prompts: Sequence[tuple[int, ...]]
    ) -> list[tuple[Completion, ...]]:
        """The completions of every prompt, from all ranks."""
        mine = range(dist.get_rank(), len(prompts), dist.get_world_size())
        each = self._grpo.samples_per_prompt
        requests = [(index, (first + index) * each + turn) for index in mine for turn in range(each)]
        completions = self._engine.generate(
            [prompts[index] for index, _ in requests],
            [self._sampling(step, number) for _, number in requests],
        )
        parts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(
            parts,
            {index: tuple(completions[i * each : (i + 1) * each]) for i, index in enumerate(mine)},
        )
        by_prompt = {index: group for part in parts for index, group in part.items()}
        return [by_prompt[index] for index in range(len(prompts))]

    def _sampling(self, step: int, number: int) -> Sampling:
        return Sampling(
            max_new_tokens=self._rollout.max_new_tokens,
            temperature=self._rollout.temperature,
            seed=stream_seed(self._grpo.seed, step, number),
            stop_token_ids=stop_token_ids(self._tokenizer),
        )

    def _judge(
        self,
        rows: Sequence[PromptRow],
        prompts: Sequence[tuple[int, ...]],
        completions: Sequence[tuple[Completion, ...]],
        first: int,
    ) -> list[Sample]:
        """Decode and reward all completions."""
        flat = [(index, completion) for index, group in enumerate(completions) for completion in group]
        texts = [decode_response(self._tokenizer, completion.token_ids) for _, completion in flat]
        rewards = self._score(
            [Response(rows[index], text) for (index, _), text in zip(flat, texts, strict=True)]
        )
        penalties = overlong_penalty(
            torch.tensor([len(completion.token_ids) for _, completion in flat]),
            self._rollout.max_new_tokens,
            self._grpo.overlong_buffer,
            self._grpo.overlong_factor,
        ).tolist()
        return [
            Sample(
                group_index=first + index,
                row=rows[index],
                prompt_ids=prompts[index],
                completion=completion,
                text=text,
                reward=replace(reward, value=reward.value + penalty),
            )
            for (index, completion), text, reward, penalty in zip(
                flat, texts, rewards, penalties, strict=True
            )
        ]

    def _score(self, responses: Sequence[Response]) -> list[Reward]:
        """Rank 0's rewards, on all ranks."""
        box: list[Any] = [None]
        if self._reward is not None:
            box = [score(self._reward, responses)]
        dist.broadcast_object_list(box, src=0)
        rewards: list[Reward] = box[0]
        return rewards


def stream_seed(seed: int, step: int, number: int) -> int:
    """A seed for one response's sampling, from the run's seed, the step and the response's number in it."""
    return int(np.random.SeedSequence([seed, step, number]).generate_state(1, np.uint64)[0]) >> 1


def _shuffle_rewards(samples: Sequence[Sample], seed: Sequence[int]) -> list[Sample]:
    """Give each response another's reward value; a policy can learn nothing from it."""
    order = np.random.default_rng(seed).permutation(len(samples))
    return [
        replace(sample, reward=replace(sample.reward, value=samples[other].reward.value))
        for sample, other in zip(samples, order, strict=True)
    ]
