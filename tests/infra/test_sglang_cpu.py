"""The SGLang server for a CPU: what stands in for packages that it lacks, and the list of its arguments."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "sglang-cpu"
SERVER_ARGS = ROOT / "training" / "rollout" / "sglang" / "server_args.json"
MISSING = importlib.util.find_spec("sglang") is None

USES = """
import importlib.util
import triton, triton.language as tl
from triton.runtime.jit import JITFunction
from xgrammar import StructuralTag
import pydantic

@triton.jit
def plain(): return 1

@triton.autotune(configs=[triton.Config({"BLOCK": 1})], key=["n"])
@triton.jit(do_not_specialize=["n"])
def tuned(block: tl.constexpr): return 2

class Cache(JITFunction):
    def __init__(self, size): self.size = size

class Request(pydantic.BaseModel):
    format: StructuralTag | None = None

assert (plain(), tuned(0), Cache(3).size) == (1, 2, 3)
assert not isinstance(plain, JITFunction) and JITFunction is JITFunction
assert Request().format is None
assert triton.__version__ and not hasattr(triton, "__wrapped__")
assert importlib.util.find_spec("triton.compiler") is not None
"""


def python(*arguments: str) -> str:
    """What Python prints with the stubs on its path, as a server process has them."""
    environment = {**os.environ, "PYTHONPATH": str(FOLDER / "stubs"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stub_is_good_for_everything_that_happens_at_import():
    python("-c", USES)


def test_every_stub_imports_under_its_name():
    names = sorted(path.stem for path in (FOLDER / "stubs").glob("*.py") if path.stem != "absent")
    assert len(names) == 8
    python("-c", ";".join(f"import {name}; {name}.anything; {name}.__version__" for name in names))


def test_the_listed_arguments_are_those_of_the_pinned_server():
    pinned = (FOLDER / "requirements.txt").read_text().splitlines()
    listed = json.loads(SERVER_ARGS.read_text())
    assert f"sglang=={listed['version']}" in pinned
    assert listed["fields"]["tp_size"] == {"type": "int", "default": 1, "flag": "--tp-size"}
    assert all(set(field) == {"type", "default", "flag"} for field in listed["fields"].values())


@pytest.mark.sglang
@pytest.mark.slow
@pytest.mark.skipif(MISSING, reason="needs the SGLang server: make sglang")
def test_the_list_is_what_the_installed_server_says():
    assert python(str(FOLDER / "list_server_args.py")) == SERVER_ARGS.read_text()
