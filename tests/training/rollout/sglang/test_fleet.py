"""Work for several engines: shared out, sent again when one is lost, interrupted and taken up again."""

import threading
import time

import pytest

from evaluation.errors import WarpsmithError
from tests.training.rollout.sglang.scripted import Hangup, answer, serving
from training.rollout.engine import FinishReason, Sampling
from training.rollout.sglang.client import Client, ServerLost, ServerRefused
from training.rollout.sglang.fleet import Fleet
from training.rollout.sglang.given import GivenEngine
from training.rollout.sglang.protocol import Request


def engine(url: str, patience_s: float = 30.0) -> GivenEngine:
    return GivenEngine(Client(url), patience_s=patience_s, restore=lambda _: False)


def requests(count: int) -> list[Request]:
    return [Request((10 + number,), Sampling(max_new_tokens=4, seed=0)) for number in range(count)]


def echo(body: dict, **changes) -> list[dict]:
    """Each request is answered by its prompt's first token and a stop."""
    return [answer([prompt[0], 2], **changes) for prompt in body["input_ids"]]


def first_tokens(completions) -> list[int]:
    return [completion.token_ids[0] for completion in completions]


def test_each_engine_gets_one_share_and_the_order_is_kept():
    with serving(echo) as one, serving(echo) as two:
        fleet = Fleet([engine(one.url), engine(two.url)])
        assert first_tokens(fleet.generate(requests(5))) == [10, 11, 12, 13, 14]
        sizes = [[len(body["input_ids"]) for _, body in server.calls] for server in (one, two)]
        assert fleet.generate([]) == []
    assert sorted(sizes) == [[2], [3]]


def test_a_share_goes_to_the_engine_with_least_to_do():
    started, finish = threading.Event(), threading.Event()

    def slow(body: dict) -> list[dict]:
        started.set()
        finish.wait(10)
        return echo(body)

    with serving(slow) as busy, serving(echo) as free:
        fleet = Fleet([engine(busy.url), engine(free.url)])
        thread = threading.Thread(target=fleet.generate, args=(requests(1),))
        thread.start()
        assert started.wait(10)
        fleet.generate(requests(1))
        assert len(free.calls) == 1
        finish.set()
        thread.join()


@pytest.mark.parametrize("failure", [Hangup(), (500, b"Internal Server Error"), b"[{", [answer([1])] * 7])
def test_what_is_lost_is_sent_again(failure):
    """A hung-up connection, an internal error, half an answer, and too many answers."""
    left = [failure, failure]

    def flaky(body: dict) -> object:
        if left:
            broken = left.pop()
            if isinstance(broken, Exception):
                raise broken
            return broken
        return echo(body)

    with serving(flaky) as server:
        assert first_tokens(Fleet([engine(server.url)]).generate(requests(3))) == [10, 11, 12]
        assert server.paths().count("/generate") == 3


def test_another_engine_does_what_a_dead_one_lost():
    with serving(echo) as alive:
        with serving(echo) as dying:
            fleet = Fleet([engine(dying.url), engine(alive.url)])
            fleet.generate(requests(2))
        assert first_tokens(fleet.generate(requests(4))) == [10, 11, 12, 13]


def test_an_engine_that_stays_away_is_named():
    with serving(echo) as server:
        gone = engine(server.url, patience_s=0.5)
    with pytest.raises(WarpsmithError, match=r"127\.0\.0\.1:\d+ has answered nothing usable"):
        Fleet([gone]).generate(requests(1))


def test_an_engine_that_only_talks_nonsense_is_given_up(monkeypatch):
    monkeypatch.setattr("training.rollout.sglang.fleet._FIRST_DELAY_S", 0.0)
    with (
        serving(lambda body: b"hello") as server,
        pytest.raises(WarpsmithError, match="no usable answer 8 times"),
    ):
        Fleet([engine(server.url)]).generate(requests(1))


def test_a_refusal_is_not_repeated():
    with (
        serving(lambda body: (400, {"error": {"message": "too long"}})) as server,
        pytest.raises(ServerRefused, match="answered 400: too long"),
    ):
        Fleet([engine(server.url)]).generate(requests(1))
    assert server.paths().count("/generate") == 1


def until_aborted(server_aborts: threading.Event):
    """A /generate that writes one token more each time, and none before it is aborted."""

    def generate(body: dict) -> list[dict]:
        if server_aborts.wait(10):
            server_aborts.clear()
            return [answer([7], reason="abort") for _ in body["input_ids"]]
        raise Hangup

    return generate


class Aborting(dict):
    """The other answers of a scripted server: /abort_request sets an event."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self.event = event

    def get(self, path: str, default: object = None) -> object:
        if path == "/abort_request":
            self.event.set()
        return {}


def in_thread(fleet: Fleet, count: int) -> tuple[threading.Thread, list]:
    done: list = []
    thread = threading.Thread(target=lambda: done.extend(fleet.generate(requests(count))))
    thread.start()
    return thread, done


def wait_for(condition) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_abort_ends_what_runs_and_nothing_later():
    event = threading.Event()
    with serving(until_aborted(event)) as server:
        server.others = Aborting(event)
        fleet = Fleet([engine(server.url)])
        fleet.abort()  # nothing runs: nothing is said to the server
        assert server.calls == []
        thread, done = in_thread(fleet, 2)
        wait_for(lambda: "/generate" in server.paths())
        fleet.abort()
        thread.join()
        assert [(c.token_ids, c.finish_reason) for c in done] == [((7,), FinishReason.ABORT)] * 2
        server.generate = echo
        assert first_tokens(fleet.generate(requests(1))) == [10]


def test_interrupted_requests_go_on_after_a_pause():
    event = threading.Event()
    with serving(until_aborted(event)) as server:
        server.others = Aborting(event)
        fleet = Fleet([engine(server.url)])
        thread, done = in_thread(fleet, 2)
        wait_for(lambda: "/generate" in server.paths())
        with fleet.paused():
            assert server.paths()[-1] == "/pause_generation"
            server.generate = lambda body: [answer([8, 2], version="5") for _ in body["input_ids"]]
            time.sleep(0.1)
            assert server.paths()[-1] == "/pause_generation"  # nothing is sent meanwhile
        thread.join()
        assert "/continue_generation" in server.paths()
        resumed = [body["input_ids"] for path, body in server.calls if path == "/generate"][-1]
    assert resumed == [[10, 7], [11, 7]]
    assert [(c.token_ids, c.weight_version) for c in done] == [((7, 8, 2), 5)] * 2


def test_the_router_gets_batches_of_equal_parameters_only():
    mixed = [*requests(2), Request((30,), Sampling(max_new_tokens=9, seed=0)), *requests(1)]
    with serving(echo) as router, serving(echo) as worker:
        fleet = Fleet([engine(worker.url)], Client(router.url))
        assert first_tokens(fleet.generate(mixed)) == [10, 11, 30, 10]
        assert sorted(len(body["input_ids"]) for _, body in router.calls) == [1, 3]
        assert worker.calls == []
        fleet.each(lambda member: member.client.control("/flush_cache"))
        assert worker.paths() == ["/flush_cache"]


def test_client_tells_lost_from_refused():
    with serving(echo) as server:
        client = Client(server.url)
        server.others["/x"] = {"success": False, "message": "no such group"}
        with pytest.raises(ServerRefused, match="no such group"):
            client.control("/x")
        server.others["/server_info"] = {"name": "something else"}
        with pytest.raises(ServerRefused, match="no SGLang server that we know"):
            client.info()
    with pytest.raises(ServerLost):
        client.control("/x")
