"""What the `simt` backend asks of a source beside running it: that it compiles for a real GPU.

The shim and a C++ compiler take some sources that CUDA does not. NVRTC needs no GPU, so where it is installed
(with CUDA's headers) a candidate must also become a sound cubin for sm_90, by the same rules as on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.backends import cubin, includes
from evaluation.backends.nvrtc import CompilerProcess, find_toolkit
from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from evaluation.source_text import plain
from evaluation.verdict import Refusal

_ARCHITECTURE = "sm_90a"


class GpuGate:
    """Compiles for sm_90 in a confined process; close it."""

    def __init__(self, settings: EvaluationSettings) -> None:
        """Start nothing yet; raises WarpsmithError if NVRTC or CUDA's headers are missing."""
        toolkit = find_toolkit()
        if toolkit.include is None:
            raise WarpsmithError(
                "evaluation.require_sm90 needs CUDA's headers beside NVRTC; install `nvidia-cuda-runtime`, "
                "or set it to false"
            )
        self._compiler = CompilerProcess(
            toolkit, seconds=float(settings.compile_cpu_s), memory_mb=settings.memory_mb
        )

    def refuse(self, source: str, kernels: Sequence[str]) -> Refusal | None:
        """Why a GPU could not run `kernels` of `source`, if so."""
        refusal = includes.refuse(source)
        if refusal is not None:
            return refusal
        source = plain(source)
        compiled = self._compiler.compile(source, _ARCHITECTURE)
        if isinstance(compiled, Refusal):
            return compiled.model_copy(update={"reason": f"for {_ARCHITECTURE}: {compiled.reason}"})
        return cubin.refuse(compiled.cubin, compiled.ptx, kernels, source)

    def close(self) -> None:
        """End the process."""
        self._compiler.close()
