"""A reward that is cheap and that a tiny model can raise: the share of one letter in the response."""

from collections.abc import Sequence

from training.rollout.rewards.rewards import Response, Reward


def letter(responses: Sequence[Response]) -> list[Reward]:
    """Between 0 and 1."""
    return [Reward(response.text.count("a") / max(len(response.text), 1)) for response in responses]
