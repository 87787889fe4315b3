"""What the `simt` backend asks of a source beside running it: that it compiles for a real GPU.

The shim and a C++ compiler take some sources that CUDA does not. NVRTC needs no GPU, so a candidate must
also compile for sm_90, by the same options and rules as on a GPU. The assembler, which takes a third of the
time, runs only where it could refuse what the compiler has taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.backends.cuda import cubin
from evaluation.backends.cuda import rules as includes
from evaluation.backends.cuda.nvrtc import CompilerProcess, Toolkit, find_toolkit
from evaluation.backends.cuda.ptx import Kernel
from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal

_VIRTUAL, _REAL = "compute_90a", "sm_90a"


class GpuGate:
    """Compiles for sm_90 in a confined process; close it."""

    def __init__(self, settings: EvaluationSettings) -> None:
        """Start nothing yet; raises WarpsmithError if NVRTC or CUDA's headers are missing."""
        self._compiler = CompilerProcess(
            _toolkit(), seconds=float(settings.compile_cpu_s), memory_mb=settings.memory_mb
        )

    def inspect(self, text: str, kernels: Sequence[str]) -> dict[str, Kernel] | Refusal:
        """What `kernels` of plain `text` are on a GPU, or why it could not run them."""
        refusal = includes.refuse(text)
        if refusal is not None:
            return refusal
        compiled = self._compiler.compile(text, _VIRTUAL, kernels)
        if not isinstance(compiled, Refusal) and cubin.needs_assembler(compiled.ptx):
            compiled = self._compiler.compile(text, _REAL, kernels)
        if isinstance(compiled, Refusal):
            return compiled.model_copy(update={"reason": f"for {_REAL}: {compiled.reason}"})
        return cubin.refuse(compiled, text) or cubin.kernels(compiled)

    def close(self) -> None:
        """End the process."""
        self._compiler.close()


def _toolkit() -> Toolkit:
    try:
        toolkit = find_toolkit()
    except WarpsmithError:
        toolkit = None
    if toolkit is None or toolkit.include is None:
        missing = "NVRTC" if toolkit is None else "CUDA's headers beside NVRTC"
        raise WarpsmithError(
            f"evaluation.require_sm90 needs {missing}; install `nvidia-cuda-nvrtc nvidia-cuda-runtime "
            "nvidia-cuda-crt nvidia-cuda-cccl` of release 13.0, or set it to false"
        )
    return toolkit
