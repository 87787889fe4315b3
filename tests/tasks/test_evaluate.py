"""The pieces of the evaluate stage that need no model."""

from __future__ import annotations

import pytest

from evaluation.errors import WarpsmithError
from evaluation.problem import Split
from tasks.evaluate import read_problems, sample_seed


def test_every_sample_has_its_own_stream():
    seeds = {sample_seed(seed, p, i) for seed in (11, 12) for p in ("a", "b", "a/1") for i in range(20)}
    assert len(seeds) == 120 and all(0 <= seed < 2**32 for seed in seeds)


def test_a_stream_is_the_same_every_time():
    assert sample_seed(11, "p", 0) == sample_seed(11, "p", 0)


def test_no_heldout_problems_is_said_with_the_remedy(tmp_path):
    (tmp_path / "problems.jsonl").write_text("")
    with pytest.raises(WarpsmithError, match=r"no heldout problems; raise `data\.heldout`"):
        read_problems(tmp_path / "problems.jsonl", Split.HELDOUT)
