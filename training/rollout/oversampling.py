"""Over-sampling: more groups are begun than are needed, and the first good ones end the round.

Each group is a call of its own to a shared engine. Groups are judged and filtered as they come, while the
others are still being written; once enough have passed, the rest is aborted.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from training.rollout.buffer import Group, GroupFilter, group_samples
from training.rollout.partial import ABORT_AGAIN_S, UnfinishedGroup
from training.rollout.ranks import Ranks
from training.rollout.respond import Responder, Responses
from training.rollout.rewards.timing import Seconds


@dataclass
class Round:
    """What became of the groups that a round began."""

    groups: list[Group] = field(default_factory=list)
    """Those that were written to their end and judged, in that order."""
    given_up: list[UnfinishedGroup] = field(default_factory=list)
    """Those that were not needed any more."""


def first_good_groups(
    begun: Mapping[int, UnfinishedGroup],
    responder: Responder,
    keep: GroupFilter,
    wanted: int,
    seconds: Seconds,
) -> Round:
    """Write the groups (by number) until `wanted` pass the filter; on rank 0, over a shared engine."""
    result = Round()
    good = 0
    with ThreadPoolExecutor(len(begun)) as threads, seconds.generating():
        calls = {threads.submit(responder.write_here, [group]): index for index, group in begun.items()}
        running = set(calls)
        try:
            while running and good < wanted:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                groups = _judged({calls[call]: call for call in done}, begun, responder, seconds)
                result.groups += groups
                good += sum(keep(group) for group in groups)
        finally:
            unneeded = sorted(running, key=lambda call: calls[call])
            _end(running, responder)
    for call in unneeded:
        (responses,) = call.result()
        completions = [generated.completion for generated in responses]
        result.given_up.append(begun[calls[call]].with_completions(completions))
    return result


def _end(running: set[Future[list[Responses]]], responder: Responder) -> None:
    """Abort calls until none is left."""
    while running:
        responder.engine.engine.abort()
        _, running = wait(running, timeout=ABORT_AGAIN_S)


def _judged(
    done: Mapping[int, Future[list[Responses]]],
    begun: Mapping[int, UnfinishedGroup],
    responder: Responder,
    seconds: Seconds,
) -> list[Group]:
    """The groups that were just finished, in the order of their numbers."""
    indices = sorted(done)
    responses = [done[index].result()[0] for index in indices]
    with seconds.scoring():
        samples = responder.judge(indices, [begun[index] for index in indices], responses, Ranks.alone())
    return group_samples(samples)
