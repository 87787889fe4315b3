"""Which GPU of the machine a process means by a number."""

import pytest

from evaluation.backends.cuda import visible_gpus
from evaluation.backends.cuda.lock import DeviceLock
from evaluation.backends.cuda.visible_gpus import chosen_gpus, physical_gpu
from evaluation.errors import WarpsmithError


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


def test_all_gpus_are_taken_or_those_that_are_named(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6")
    assert chosen_gpus(()) == (0, 1, 2)
    assert chosen_gpus((2, 0)) == (2, 0)
    with pytest.raises(WarpsmithError, match=r"evaluation\.devices names GPU 3, but this machine has 3"):
        chosen_gpus((3,))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert (chosen_gpus(()), chosen_gpus((1,))) == ((0,), (1,))


@pytest.mark.parametrize(
    ("chosen", "gpus"), [("0", 1), ("0,1", 2), ("GPU-1a, GPU-2b", 2), ("", None), ("-1", None)]
)
def test_the_environment_chooses(monkeypatch, chosen, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus.visible_gpus() == gpus


@pytest.mark.parametrize(
    ("devices", "gpus"), [(["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"], 2), (["null"], None)]
)
def test_without_a_choice_devices_are_counted(monkeypatch, tmp_path, devices, gpus):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(visible_gpus, "_DEVICES", tmp_path)
    for name in devices:
        (tmp_path / name).touch()
    assert visible_gpus.visible_gpus() == gpus
