"""Evaluations while training have a length of their own."""

import pytest

from evaluation.errors import WarpsmithError
from tests.training.test_grpo import job
from training.policy.checks import prompt_room
from training.settings.architecture import read_architecture
from training.settings.optimization import SftSettings


def test_prompts_of_evaluations_leave_room_for_their_own_length(folder, tmp_path):
    architecture = read_architecture(folder / "torch_dist" / "hf")
    changed = job(folder, tmp_path, grpo={"eval_interval": 1, "eval_max_new_tokens": 30}, max_new_tokens=20)
    assert prompt_room(changed, architecture) == architecture.max_positions - 20
    assert prompt_room(changed, architecture, evaluates=True) == architecture.max_positions - 30
    longest = architecture.max_positions
    too_long = {"eval_interval": 1, "eval_max_new_tokens": longest}
    refused = job(folder, tmp_path, grpo=too_long, max_new_tokens=20)
    with pytest.raises(WarpsmithError, match=rf"grpo.eval_max_new_tokens {longest} leaves no room"):
        prompt_room(refused, architecture, evaluates=True)


@pytest.mark.parametrize(
    ("given", "conversations", "steps", "warmup"),
    [
        ({"epochs": 3, "batch_size": 128, "warmup_fraction": 0.1}, 10_000, 235, 24),
        ({"epochs": 1, "batch_size": 4}, 5, 2, 10),
        ({"steps": 7, "warmup_fraction": 0.5}, 5, 7, 4),
        ({"steps": 7, "warmup_steps": 2}, 5, 7, 2),
    ],
)
def test_steps_of_sft_follow_from_epochs_and_warm_up_from_its_share(given, conversations, steps, warmup):
    counted = SftSettings(**given).counted(conversations)
    assert (counted.steps, counted.warmup_steps) == (steps, warmup)
