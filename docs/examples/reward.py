"""A reward: 1 if the response is the expected answer, less a little for every further word."""

from collections.abc import Sequence

from training.rollout.rewards.rewards import Response, Reward


def exact_answer(responses: Sequence[Response]) -> list[Reward]:
    """All responses of a round at once, in their order; the row's label is the expected answer."""
    return [_reward(response) for response in responses]


def _reward(response: Response) -> Reward:
    words = response.text.split()
    correct = bool(words) and words[-1] == response.row.label
    surplus = max(len(words) - 1, 0)
    return Reward(
        value=float(correct) - 0.01 * surplus,
        status="correct" if correct else "wrong",
        reason=f"expected {response.row.label!r}, got {words[-1:]}",
        metrics={"answers/correct": float(correct), "answers/words": float(len(words))},
    )
