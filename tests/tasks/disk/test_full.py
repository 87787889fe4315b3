"""A full disk is recognised in whatever disguise, and nothing else is taken for it."""

from __future__ import annotations

import errno
import shutil

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.full import explain_full_disk


def caused_by(cause: Exception, error: Exception | None = None) -> Exception:
    error = error or RuntimeError("stage failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "over quota"),
        RuntimeError("(sqlite3.OperationalError) database or disk is full"),
        caused_by(OSError(errno.ENOSPC, "No space left on device")),
        caused_by(OSError(errno.ENOSPC, "x"), WarpsmithError("DVC: 64 files failed to upload")),
    ],
)
def test_a_full_disk(error, tmp_path):
    assert "is full; free some space" in str(explain_full_disk(error, tmp_path))


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.ENOENT, "x"), KeyboardInterrupt()])
def test_something_else(error, tmp_path):
    assert explain_full_disk(error, tmp_path) is None


def test_an_error_that_explains_itself_is_left_alone_even_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    assert explain_full_disk(WarpsmithError("x"), tmp_path) is None
    assert explain_full_disk(ValueError("x"), tmp_path) is not None
