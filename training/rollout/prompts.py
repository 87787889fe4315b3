"""The prompts of a stage and the order they are drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from transformers import PreTrainedTokenizerBase

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from evaluation.rows import read_lines
from training.model.tokenizer import encode_prompt


class Message(Frozen):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said."""


class PromptRow(BaseModel):
    """A row of slime's format: the chat to answer and what is needed to judge the answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: tuple[Message, ...] = Field(min_length=1)
    """The chat so far."""
    label: str
    """The problem's id for `kernel`, the expected answer for other rewards."""
    metadata: dict[str, Any] = {}
    """Anything else that a reward or a report wants to know."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat as tokenizers take it."""
        return [message.model_dump() for message in self.prompt]


def read_prompts(path: Path) -> list[PromptRow]:
    """All rows of a JSONL file; WarpsmithError naming the line if one is malformed or there is none."""
    rows = []
    for number, line in read_lines(path):
        try:
            rows.append(PromptRow.model_validate_json(line))
        except ValidationError as error:
            raise WarpsmithError(
                f"{path}, line {number}: {first_problem(error)}; run the prepare stage again"
            ) from None
    if not rows:
        raise WarpsmithError(f"{path} holds no prompts; run the prepare stage again")
    return rows


def first_problem(error: ValidationError) -> str:
    """What is wrong with a row, in a few words: the first field and why."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'row'}: {first['msg'].removeprefix('Value error, ')}"


def fitting(
    rows: Sequence[PromptRow], tokenizer: PreTrainedTokenizerBase, most_tokens: int
) -> tuple[list[PromptRow], int]:
    """The rows whose prompt has at most `most_tokens` tokens, in their order, and how many have more.

    Raises WarpsmithError if none is left, or naming the label of one that the chat template refuses.
    """
    short = [row for row in rows if _length(row, tokenizer) <= most_tokens]
    if not short:
        raise WarpsmithError(
            f"no prompt leaves room for a response (each has more than {most_tokens} tokens); lower "
            "rollout.max_new_tokens or raise the model's max_position_embeddings"
        )
    return short, len(rows) - len(short)


def _length(row: PromptRow, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of a row's prompt."""
    try:
        return len(encode_prompt(tokenizer, row.messages))
    except WarpsmithError as error:
        raise WarpsmithError(f"the prompt with the label {row.label!r:.80}: {error}") from None


class CursorState(TypedDict):
    """What a checkpoint keeps of a `PromptCursor`; plain numbers."""

    count: int
    seed: int
    drawn: int


class PromptCursor:
    """Draws row numbers 0 .. count - 1 epoch by epoch, each epoch in an order of its own.

    The order of an epoch follows from the seed and the epoch's number alone, so the number of rows drawn so
    far is all there is to remember.
    """

    def __init__(self, count: int, seed: int) -> None:
        """A cursor at the start of epoch 0 over `count` rows."""
        if count < 1:
            raise ValueError("a cursor needs at least one row")
        self._count = count
        self._seed = seed
        self._drawn = 0

    @property
    def epoch(self) -> int:
        """Number of whole passes over the rows so far."""
        return self._drawn // self._count

    def take(self, number: int) -> list[int]:
        """The next `number` row numbers, across the end of an epoch where need be."""
        rows: list[int] = []
        while len(rows) < number:
            epoch, position = divmod(self._drawn, self._count)
            taken = self._order(epoch)[position : position + number - len(rows)]
            rows += taken
            self._drawn += len(taken)
        return rows

    def state_dict(self) -> CursorState:
        """The position, for a checkpoint."""
        return {"count": self._count, "seed": self._seed, "drawn": self._drawn}

    def load_state_dict(self, state: CursorState) -> None:
        """Go on where the checkpoint was; WarpsmithError if it was over other data."""
        if (state["count"], state["seed"]) != (self._count, self._seed):
            raise WarpsmithError(
                f"the checkpoint's data position is over {state['count']} rows with seed {state['seed']}, "
                f"but there are {self._count} rows with seed {self._seed}; remove the checkpoint or restore "
                "its data"
            )
        self._drawn = state["drawn"]

    def _order(self, epoch: int) -> list[int]:
        order: list[int] = np.random.default_rng([self._seed, epoch]).permutation(self._count).tolist()
        return order
