"""What torchrun starts: `python -m training.launch.worker MODULE ARGUMENTS`, as `python -m MODULE ARGUMENTS`.

While it is imported, Megatron hands some functions to torch.compile, for which torch imports its whole
compiler: a third of the time that a worker takes to start. Without a GPU nothing calls those functions, and
they stay as they are.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from unittest import mock

import torch

#: What of Megatron the trainer and the conversions use.
_MEGATRON = ("dist_checkpointing", "models.gpt", "optimizer", "pipeline_parallel")


def import_megatron() -> None:
    """Import what of Megatron is used, on a CPU without torch's compiler."""
    if torch.cuda.is_available():
        return
    with mock.patch.object(torch, "compile", lambda model=None, **_: model or (lambda function: function)):
        for name in _MEGATRON:
            importlib.import_module(f"megatron.core.{name}")


if __name__ == "__main__":
    import_megatron()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
