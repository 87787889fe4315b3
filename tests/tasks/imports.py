"""Which files of the project a module needs: what it imports, at the top and later, and what that imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("evaluation", "data", "training", "tasks")


def needed(root: Path, *modules: str) -> set[str]:
    """Paths of the files, relative to the checkout `root`; packages' `__init__.py` left out."""
    waiting, found = list(modules), set[Path]()
    while waiting:
        file = _file(root, waiting.pop())
        if file is not None and file not in found:
            found.add(file)
            waiting += _imports(file)
    return {file.relative_to(root).as_posix() for file in found if file.name != "__init__.py"}


def _file(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imports(file: Path) -> Iterator[str]:
    """Modules that a file imports, or names in a text as those are that run in a process of their own."""
    nodes = [ast.parse(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and str(node.value).split(".")[0] in ROOMS:
            yield str(node.value)
