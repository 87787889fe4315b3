"""Places where a candidate can run: each lies behind the protocol in `base`, and is imported when opened."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from evaluation.backends.base import Backend
from evaluation.errors import WarpsmithError
from evaluation.settings import BackendName, EvaluationSettings


class BackendUnavailableError(WarpsmithError):
    """This machine, or this installation, lacks what the backend needs."""


def open_backend(settings: EvaluationSettings, scratch_dir: Path | None = None) -> Backend:
    """The backend that the settings name; builds go to `scratch_dir` (default: a temporary folder).

    Raises a WarpsmithError if the machine lacks what it needs: a C++ compiler, or a GPU and PyCUDA.
    """
    if settings.backend is BackendName.CUDA:
        require_gpu()
        from evaluation.backends.cuda.backend import CudaBackend

        on_gpu = CudaBackend(settings, scratch_dir)
        if not settings.simt_first:
            return on_gpu
        from evaluation.backends.cascade import CascadeBackend

        return CascadeBackend(_simt(settings.model_copy(update={"require_sm90": False}), None), on_gpu)
    return _simt(settings, scratch_dir)


def _simt(settings: EvaluationSettings, scratch_dir: Path | None) -> Backend:
    from evaluation.backends.simt.backend import SimtBackend

    return SimtBackend(settings, scratch_dir)


def require_gpu() -> None:
    """Raise BackendUnavailableError where PyCUDA is not installed."""
    if find_spec("pycuda") is None:
        raise BackendUnavailableError(
            "the cuda backend needs an NVIDIA GPU and PyCUDA, and PyCUDA is missing; use the simt backend"
        )
