"""From prompts to judged samples: encoding, generation over the ranks, decoding, rewards.

Where every rank has an engine of its own, each writes its share; rank 0 judges all responses (its judge has
worker processes of its own) and tells the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias

import torch
from transformers import PreTrainedTokenizerBase

from training.model.tokenizer import decode_response, encode_prompt, stop_token_ids
from training.objective.advantages import overlong_penalty
from training.rollout.buffer import Sample
from training.rollout.engine import RolloutEngine, Sampling
from training.rollout.partial import NOT_BEGUN, Interruptible, UnfinishedGroup
from training.rollout.prompts import PromptRow
from training.rollout.ranks import Ranks
from training.rollout.rewards.custom import Generated, GenerateInput, load_generate
from training.rollout.rewards.rewards import Response, Reward, RewardFunction, score
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings

#: Calls of a generate function at a time, where the engine takes several.
_CALLS_AT_ONCE = 64

Responses: TypeAlias = tuple[Generated, ...]
"""All responses of one group."""


def sampling_of(
    rollout: RolloutSettings, tokenizer: PreTrainedTokenizerBase, seed: int, temperature: float | None = None
) -> Sampling:
    """How a response is sampled, in rollouts, in validation and in the night's benchmark alike."""
    return Sampling(
        max_new_tokens=rollout.max_new_tokens,
        temperature=rollout.temperature if temperature is None else temperature,
        seed=seed,
        top_p=rollout.top_p,
        top_k=rollout.top_k,
        stop_token_ids=stop_token_ids(tokenizer),
    )


class Responder:
    """Writes and judges responses with one engine and one reward function."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        engine: RolloutEngine,
        reward: RewardFunction | None,
        grpo: GrpoSettings,
        rollout: RolloutSettings,
    ) -> None:
        """`reward` is needed on rank 0 only."""
        self.tokenizer = tokenizer
        self.engine = Interruptible(engine)
        self._reward = reward
        self._grpo, self._rollout = grpo, rollout
        self._generate_function = load_generate(rollout.generate_function)

    def sampling(
        self, seed: int, temperature: float | None = None, max_new_tokens: int | None = None
    ) -> Sampling:
        """How to sample a response; by default at the temperature and the length of the rollouts."""
        return sampling_of(self._rollout.limited(max_new_tokens), self.tokenizer, seed, temperature)

    def open_group(self, row: PromptRow, sampling: Sequence[Sampling]) -> UnfinishedGroup:
        """A draw of a prompt, with a response to write for each `sampling`."""
        prompt = tuple(encode_prompt(self.tokenizer, row.messages))
        return UnfinishedGroup(row, prompt, tuple(sampling), (NOT_BEGUN,) * len(sampling))

    def write(self, groups: Sequence[UnfinishedGroup], ranks: Ranks) -> list[Responses]:
        """The responses of all groups, each rank writing its share."""
        mine = range(ranks.rank, len(groups), ranks.count)
        written = self.write_here([groups[index] for index in mine])
        parts = ranks.gather(dict(zip(mine, written, strict=True)))
        by_group = {index: responses for part in parts for index, responses in part.items()}
        return [by_group[index] for index in range(len(groups))]

    def write_here(self, groups: Sequence[UnfinishedGroup]) -> list[Responses]:
        """The responses of all groups, by this rank's engine; aborted ones come back as they are."""
        if self._generate_function is not None:
            return self._call_generate_function(groups)
        completions = iter(
            self.engine.generate(
                [group.prompt_ids for group in groups for _ in group.sampling],
                [sampling for group in groups for sampling in group.sampling],
                [completion for group in groups for completion in group.completions],
            )
        )
        return [tuple(Generated(next(completions)) for _ in group.sampling) for group in groups]

    def judge(
        self,
        indices: Sequence[int],
        groups: Sequence[UnfinishedGroup],
        responses: Sequence[Responses],
        ranks: Ranks,
    ) -> list[Sample]:
        """Decode and reward all responses; `indices` are the groups' numbers."""
        flat = [
            (index, group, generated)
            for index, group, written in zip(indices, groups, responses, strict=True)
            for generated in written
        ]
        texts = [
            decode_response(self.tokenizer, generated.completion.token_ids, group.prompt_ids)
            for _, group, generated in flat
        ]
        rewards = self._score_on_main(
            [Response(group.row, text) for (_, group, _), text in zip(flat, texts, strict=True)], ranks
        )
        penalties = overlong_penalty(
            torch.tensor([len(generated.completion.token_ids) for *_, generated in flat]),
            self._rollout.max_new_tokens,
            self._grpo.overlong_buffer,
            self._grpo.overlong_factor,
        ).tolist()
        return [
            Sample(
                group_index=index,
                row=group.row,
                prompt_ids=group.prompt_ids,
                completion=generated.completion,
                text=text,
                reward=replace(reward, value=reward.value + penalty),
                loss_mask=generated.loss_mask,
            )
            for (index, group, generated), text, reward, penalty in zip(
                flat, texts, rewards, penalties, strict=True
            )
        ]

    def score(self, responses: Sequence[Response]) -> list[Reward]:
        """Rewards, on rank 0."""
        assert self._reward is not None
        return score(self._reward, responses)

    def _score_on_main(self, responses: Sequence[Response], ranks: Ranks) -> list[Reward]:
        """Rank 0's rewards, on all ranks."""
        return ranks.broadcast(self.score(responses) if self._reward is not None else [])

    def _call_generate_function(self, groups: Sequence[UnfinishedGroup]) -> list[Responses]:
        requests = [
            GenerateInput(group.row, group.prompt_ids, sampling, self.engine.engine, self.tokenizer)
            for group in groups
            for sampling in group.sampling
        ]
        with ThreadPoolExecutor(_CALLS_AT_ONCE if self.engine.engine.shared else 1) as threads:
            assert self._generate_function is not None
            generated = threads.map(self._generate_function, requests)
            return [tuple(next(generated) for _ in group.sampling) for group in groups]
