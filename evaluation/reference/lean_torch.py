"""Imports torch in half the time and memory, for processes that only run it and never compile with it.

Torch wraps functions of its own so that its compiler leaves them alone, and to do that imports the whole
compiler at the first call of one. Where nothing is compiled, the functions may as well stay as they are.
Import this before anything else imports torch.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Callable
from typing import Any


def _disable_dynamo(function: Callable | None = None, recursive: bool = True) -> Any:
    """`function` itself, also as a decorator with arguments."""
    return function if function is not None else lambda decorated: decorated


_stand_in = types.ModuleType("torch._compile")
_stand_in.__dict__["_disable_dynamo"] = _disable_dynamo
sys.modules["torch._compile"] = _stand_in
gc.disable()  # whoever forks freezes what it has imported, and enables it again
import torch  # noqa: E402, F401
