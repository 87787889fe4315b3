"""Asynchronous GRPO: what is ahead, how stale it is, that it repeats itself (killed: test_interrupted.py)."""

import json
import threading
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tests.training.night import metrics
from tests.training.test_grpo import job, parts
from training.grpo import train
from training.policy.asynchronous import RolloutQueue, in_one_thread
from training.rollout.ranks import Ranks
from training.settings.optimization import GrpoSettings

ASYNC = {"asynchronous": True, "importance_cap": 2.0}


def rows_of(out_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (out_dir / "rollouts.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("lag", [1, 2])
def test_rollouts_are_as_stale_as_allowed_and_corrected(single_process, folder, tmp_path, lag):
    train(job(folder, tmp_path, grpo={**ASYNC, "max_staleness": lag}))
    history = metrics(tmp_path)
    assert [row["rollout/staleness"] for row in history] == [min(step, lag) for step in range(6)]
    assert history[0]["train/importance"] == pytest.approx(1, abs=1e-4)
    assert all(abs(row["train/importance"] - 1) > 1e-4 for row in history[2:])
    assert all("train/importance_clip_fraction" in row for row in history)


def test_the_first_rollout_is_that_of_a_synchronous_run_and_no_prompt_is_left_out(
    single_process, folder, tmp_path
):
    train(job(folder, tmp_path / "sync", grpo={"importance_cap": 2.0}))
    train(job(folder, tmp_path / "async", grpo=ASYNC))
    sync, ahead = rows_of(tmp_path / "sync"), rows_of(tmp_path / "async")
    assert [(row["step"], row["problem_id"]) for row in ahead] == [
        (row["step"], row["problem_id"]) for row in sync
    ]
    assert ahead[:16] == sync[:16] and ahead[32:] != sync[32:]


def test_the_next_rollout_is_made_while_this_one_trains(single_process, folder, tmp_path):
    run = job(folder, tmp_path, grpo=ASYNC)
    policy, rollouts, _ = parts(run)
    queue = RolloutQueue(rollouts, run.settings.grpo)
    main = threading.get_ident()
    made_by = []
    collect = rollouts.collect
    rollouts.collect = lambda *args: (made_by.append((args[0], threading.get_ident())), collect(*args))[1]
    collection, _ = queue.take(0)
    queue.finish_all()  # nobody has asked for step 1
    assert [step for step, _ in made_by] == [0, 1] and main not in [thread for _, thread in made_by]
    policy.update(collection.samples, 0)
    with queue.weights_change():
        rollouts.responder.engine.engine.update_weights(policy.weights(), 1)
    second, _ = queue.take(1)
    assert {sample.completion.weight_version for sample in second.samples} == {0}
    third, _ = queue.take(2)
    assert {sample.completion.weight_version for sample in third.samples} == {1}
    queue.close()


def test_without_a_lag_the_engine_lends_its_memory_before_judging(single_process, folder, tmp_path):
    run = job(folder, tmp_path)
    _, rollouts, _ = parts(run)
    events = []
    rollouts.responder.engine.engine.lend = lambda: events.append("lends")
    reward = rollouts.responder._reward
    rollouts.responder._reward = lambda responses: (events.append("judges"), reward(responses))[1]
    RolloutQueue(rollouts, run.settings.grpo).take(0)
    assert events == ["lends", "judges"]


def test_a_failure_in_the_background_reaches_the_main_thread(single_process, folder, tmp_path):
    run = job(folder, tmp_path, grpo=ASYNC)
    _, rollouts, _ = parts(run)
    queue = RolloutQueue(rollouts, run.settings.grpo)

    def refuse(responses):
        raise WarpsmithError("no compiler; install one")

    rollouts.responder._reward = refuse
    with pytest.raises(WarpsmithError, match="no compiler"):
        queue.take(0)
    queue.close()


def test_new_weights_interrupt_a_generation_that_goes_on_with_them(single_process, folder, tmp_path):
    settings = {**ASYNC, "partial_rollout": True, "prompts_per_step": 8}
    run = job(folder, tmp_path, grpo=settings, max_new_tokens=80)
    policy, rollouts, _ = parts(run)
    engine = rollouts.responder.engine.engine
    queue = RolloutQueue(rollouts, run.settings.grpo)
    queue.take(0)
    begun = threading.Event()
    step = engine._decoder.step
    engine._decoder.step = lambda *args: (begun.set(), step(*args))[1]
    assert begun.wait(60)
    with queue.weights_change():
        engine.update_weights(policy.weights(), 1)
    collection, _ = queue.take(1)
    assert {sample.completion.weight_version for sample in collection.samples} == {1}
    reports = policy.update(collection.samples, 1)  # same weights: the trainer must agree on every token
    assert sum(r["mismatch"] for r in reports[:1]) / reports[0]["tokens"] < 1e-5
    queue.close()


def test_partial_runs_end_with_every_prompt_drawn_once(single_process, folder, tmp_path):
    train(job(folder, tmp_path, grpo={**ASYNC, "partial_rollout": True}))
    history = metrics(tmp_path)
    assert len(history) == 6 and all(row["rollout/staleness_max"] <= 1 for row in history)
    drawn = [row["problem_id"] for row in rows_of(tmp_path)]
    assert all(drawn.count(name) == 4 for name in set(drawn)) and len(set(drawn)) == 24


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"asynchronous": True}, "asynchronous .* needs importance_cap"),
        ({"partial_rollout": True, "importance_cap": 2.0}, "interrupts nothing"),
        ({"over_sampling_batch_size": 3, "prompts_per_step": 4}, "below prompts_per_step 4"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        GrpoSettings(**settings)


def test_a_reward_function_stays_in_its_thread():
    threads = []

    class Opened:
        def __enter__(self):
            threads.append(threading.get_ident())
            return lambda responses: threads.append(threading.get_ident()) or []

        def __exit__(self, *_):
            threads.append(threading.get_ident())

    with in_one_thread(Opened()) as reward:
        reward([])
        thread = threading.Thread(target=reward, args=([],))
        thread.start(), thread.join()
    assert len(threads) == 4 and len(set(threads)) == 1 and threads[0] != threading.get_ident()


def test_a_synchronous_queue_uses_no_thread(single_process, folder, tmp_path):
    run = job(folder, tmp_path)
    _, rollouts, _ = parts(run)
    threads = threading.active_count()
    queue = RolloutQueue(rollouts, run.settings.grpo)
    collection, _ = queue.take(0)
    assert threading.active_count() == threads and queue.state() == b""
    assert collection == parts(run)[1].collect(0, Ranks.alone())[0]
