"""Which GPU of the machine a process means by a number."""

import pytest

from evaluation.backends.cuda.lock import DeviceLock
from evaluation.backends.cuda.visible_gpus import physical_gpu


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        (None, 1, "1"),
        ("", 0, "0"),
        ("3", 0, "3"),
        ("2, 5", 1, "5"),
        ("GPU-8d6f,GPU-11aa", 1, "GPU-11aa"),
        ("4", 2, "2"),  # not visible: CUDA will say so
    ],
)
def test_the_number_is_looked_up_among_the_visible(monkeypatch, visible, device, expected):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert physical_gpu(device) == expected


def test_processes_that_see_other_gpus_do_not_wait_for_each_other(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    first = DeviceLock(0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    second = DeviceLock(0)
    with first.alone(), second.alone():
        assert len(list(tmp_path.glob("*.lock"))) == 4
