"""Who may know whom: imports run downward between the rooms, and in no circle between a room's folders."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("evaluation", "data", "training", "tasks", "flows")
"""From the ground floor up."""
KNOWN = {
    ("evaluation.backends.cuda", "evaluation.timing"): "the GPU's worker times, too; imported late",
}


def _imports(tree: ast.AST) -> Iterator[str]:
    """The modules that a file imports, at any depth, but for those that only types need."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        yield from _imports(node)


def _folder(module: str) -> str:
    """The folder of a module, or of a name in a module, with dots."""
    path = ROOT.joinpath(*module.split("."))
    while not (path.is_dir() or path.with_suffix(".py").is_file()):
        path = path.parent
    return ".".join((path if path.is_dir() else path.parent).relative_to(ROOT).parts)


def _arrows(room: str) -> dict[str, set[str]]:
    """By folder of the room, the folders that its files import from."""
    arrows: dict[str, set[str]] = {}
    for path in (ROOT / room).rglob("*.py"):
        folder = ".".join(path.parent.relative_to(ROOT).parts)
        found = {_folder(module) for module in _imports(ast.parse(path.read_text()))}
        arrows.setdefault(folder, set()).update(found - {"", folder})
    return arrows


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_know_only_those_below(room):
    above = ROOMS[ROOMS.index(room) + 1 :]
    for folder, known in _arrows(room).items():
        assert not [other for other in known if other.split(".")[0] in above], folder


@pytest.mark.parametrize("room", ["evaluation", "training"])
def test_folders_know_each_other_in_no_circle(room):
    """A room's own files, and those of a folder that holds folders, are entry points and ground at once."""
    arrows = {
        folder: {
            other
            for other in known
            if other.startswith(f"{room}.")
            and (folder, other) not in KNOWN
            and not other.startswith(f"{folder}.")
            and not folder.startswith(f"{other}.")
        }
        for folder, known in _arrows(room).items()
        if folder != room
    }
    while arrows:
        free = [folder for folder, known in arrows.items() if not known & arrows.keys()]
        assert free, f"a circle among {arrows}"
        arrows = {folder: known for folder, known in arrows.items() if folder not in free}
