"""What kinds share: programs, levels and chats out of a row's fields."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from data.sources.rows import Program, Question, Reason, Row, RowError

_LEVELS = range(1, 5)
_LEVEL = re.compile(r"level[_ -]?([1-4])", re.IGNORECASE)
_ROLES = ("system", "user", "assistant")


def program_of(row: Row, texts: Sequence[str], levels: Sequence[str], name: str | None = None) -> Program:
    """The program that a row has under one of the names `texts`; a file is one.

    Raises RowError for a row without one.
    """
    if "path" in row.fields:
        found = _LEVEL.search(row.place)
        return Program(row.name, row.fields["text"], int(found.group(1)) if found else 1)
    text = first(row, texts)
    if not isinstance(text, str):
        wrong = "has no program" if text is None else f"has a {type(text).__name__} for its program"
        raise RowError(Reason.FIELD, f"the row {wrong}; put its text under `{'` or `'.join(texts)}`")
    return Program(name or row.name, text, level_of(row, levels), named=name is not None)


def level_of(row: Row, names: Sequence[str]) -> int:
    """The difficulty from 1 to 4, as a number or as `level_2`; 1 if the row says none."""
    level = first(row, names)
    if isinstance(level, str) and (found := _LEVEL.fullmatch(level.strip())):
        level = int(found.group(1))
    if level is not None and (type(level) is not int or level not in _LEVELS):
        sentence = f"the row's difficulty is {str(level)[:40]!r}; it must be 1, 2, 3 or 4"
        raise RowError(Reason.FIELD, sentence)
    return level or 1


def question_of(row: Row, prompt: Any, label: Any, metadata: Any = None) -> Question:
    """A chat with its answer; a prompt may be a text, and a number is an answer, too.

    Raises RowError for what is missing or is of another kind.
    """
    if type(label) in (int, float):
        label = str(label)
    if not isinstance(label, str) or not label.strip():
        raise RowError(Reason.FIELD, f"the row's answer is {_said(label)}; it must be a text or a number")
    return Question(row.name, messages_of(prompt), label.strip(), _object(metadata))


def messages_of(prompt: Any) -> tuple[dict[str, str], ...]:
    """A chat from a text, from messages, or from messages as JSON."""
    if isinstance(prompt, str) and prompt.strip():
        return ({"role": "user", "content": prompt},)
    if not isinstance(prompt, list) or not prompt:
        raise RowError(Reason.FIELD, f"the row's prompt is {_said(prompt)}; it must be a text or messages")
    if not all(isinstance(turn, dict) for turn in prompt):
        raise RowError(Reason.FIELD, "the row's prompt is a list of something else than messages")
    turns = [(turn.get("role"), turn.get("content")) for turn in prompt]
    if not all(role in _ROLES and isinstance(content, str) for role, content in turns):
        sentence = f"a message of the row's prompt lacks a `content` or a `role` of {', '.join(_ROLES)}"
        raise RowError(Reason.FIELD, sentence)
    if turns[-1][0] == "assistant" or not turns[-1][1].strip():
        raise RowError(Reason.FIELD, "the row's prompt must end with what the user says")
    return tuple({"role": role, "content": content} for role, content in turns)


def first(row: Row, names: Sequence[str]) -> Any:
    """The first of the fields that the row has."""
    return next((row.fields[name] for name in names if row.fields.get(name) is not None), None)


def _object(value: Any) -> dict[str, Any]:
    """Metadata as an object; parquet files have it as JSON text, too."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise RowError(Reason.FIELD, "the row's metadata is a text that is no JSON object") from None
    if value is not None and not isinstance(value, dict):
        raise RowError(Reason.FIELD, f"the row's metadata is {_said(value)}; it must be an object")
    return value or {}


def _said(value: Any) -> str:
    """A value in a sentence."""
    return "missing" if value is None else f"{str(value)[:40]!r}, a {type(value).__name__}"
