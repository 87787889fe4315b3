"""Sums and differences, `arithmetic:N`: questions with solutions for a machine without a network.

Of N questions the settings' shares are held out and for validation; those are the same on every night, and
the others are drawn from its seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from data.settings import DataSettings
from data.sources.identity import identity_of
from data.sources.kind import Kind, Options
from data.sources.location import Location
from data.sources.readers import SourceError
from data.sources.rows import Item, LeftOut, Question, Row
from data.splits import split_of_question
from evaluation.problem import Split

MOST = 49
"""The largest operand."""
_TRIES = 200
"""Draws for each question that is wanted, before there are taken to be no more."""


def read(location: Location, options: Options) -> Iterator[Row | LeftOut]:
    """Draw so many different questions; raises SourceError for more than there are."""
    if not location.target.isdecimal() or int(location.target) < 1:
        raise SourceError(
            f"source {location} must name a number of questions from 1 on, as arithmetic:500 does"
        )
    drawn = _draw(int(location.target), options, str(location))
    for number, question in enumerate(islice(drawn, location.first, location.end), location.first + 1):
        asked = question.messages[0]["content"]
        yield Row(f"{location}:{number}", question.id, {"question": question}, asked)


def item(row: Row, _options: Options) -> Item:
    """The question as it was drawn."""
    question: Question = row.fields["question"]
    return question


def _draw(count: int, options: Options, source: str) -> Iterator[Question]:
    settings = options.settings
    kept_back = {
        Split.HELDOUT: round(count * settings.heldout_share),
        Split.VALIDATION: round(count * settings.validation_share),
    }
    for split, wanted in (*kept_back.items(), (Split.TRAIN, count - sum(kept_back.values()))):
        seed = options.seed if split is Split.TRAIN else str(settings.split_seed)
        found = _questions(split, settings, random.Random(f"{seed}/arithmetic/{split}"), _TRIES * wanted)
        questions = list(islice(found, wanted))
        if len(questions) < wanted:
            raise SourceError(f"source {source} asks for more than there is ({len(questions)} for {split})")
        yield from questions


def _questions(split: Split, settings: DataSettings, rng: random.Random, tries: int) -> Iterator[Question]:
    """Different questions of one split, as long as some are found."""
    seen: set[str] = set()
    for _ in range(tries):
        question = _question(rng)
        if question.id not in seen and split_of_question(identity_of(question), settings) is split:
            seen.add(question.id)
            yield question


def _question(rng: random.Random) -> Question:
    first, second, plus = rng.randint(0, MOST), rng.randint(0, MOST), rng.random() < 0.5
    result = first + second if plus else first - second
    sign, name = ("+", "plus") if plus else ("-", "minus")
    asked = f"What is {first} {sign} {second}? Put the final answer in \\boxed{{}}."
    return Question(
        f"arithmetic-{first}-{name}-{second}",
        ({"role": "user", "content": asked},),
        str(result),
        {"operation": name},
        f"\\boxed{{{result}}}",
    )


KIND = Kind(
    "arithmetic",
    "so many sums and differences of our own, with solutions, as in arithmetic:500",
    item,
    read,
    questions=True,
    whole_numbers=True,
    licence="ours",
)
