"""What torchrun starts: `python -m training.launch.worker MODULE ARGUMENTS`, as `python -m MODULE ARGUMENTS`.

On a machine without a GPU `torch.compile` gives functions back as they are. Nothing is compiled there anyway,
but Megatron hands it functions while it is imported, for which torch would import its whole compiler: a third
of the time that a worker takes to start.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

import torch


def _as_it_is(model: Any = None, **_: Any) -> Any:
    return (lambda function: function) if model is None else model


if __name__ == "__main__":
    if not torch.cuda.is_available():
        setattr(torch, "compile", _as_it_is)  # noqa: B010 - to mypy it has one type for ever
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
