"""Stands in for a package that SGLang imports and that a server on a CPU never calls.

SGLang imports the packages of every GPU, of speech and of structured output at start-up, whatever it
serves. Each module beside this one takes such a package's name and calls `stand_in`. From then on every
import from the package works and gives placeholders that are good for what happens while modules are
imported: decorating functions, being a base class, standing in a type annotation. Nothing is computed:
a placeholder that is reached while serving fails or returns what it was given.

This folder is put on the PYTHONPATH of a server process on a CPU and nowhere else; see ../README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pydantic_core import CoreSchema, core_schema


class _PlaceholderType(type):
    """The type of all placeholders: their attributes are placeholders, and calling one decorates."""

    def __getattr__(cls, name: str) -> type:
        return _placeholder(f"{cls.__qualname__}.{name}", name)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        """`@jit` and `@jit(option=1)` both leave the function below as it is.

        A subclass that SGLang wrote is made an object of, as usual.
        """
        if "_placeholder" not in cls.__dict__:
            return super().__call__(*args, **options)
        if len(args) == 1 and callable(args[0]) and not options:
            return args[0]
        return lambda decorated=None, *_, **__: decorated


class _Placeholder(metaclass=_PlaceholderType):
    """The base of all placeholders, which may stand in annotations, of pydantic models too."""

    def __class_getitem__(cls, item: Any) -> type:
        return cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.any_schema()


def _placeholder(path: str, name: str) -> type:
    """A new placeholder; dunder names are refused, because Python asks for them to see what is there."""
    if name.startswith("__"):
        raise AttributeError(name)
    return _PlaceholderType(path, (_Placeholder,), {"_placeholder": True})


class _AbsentModule(ModuleType):
    """A submodule of an absent package: every name in it is a placeholder."""

    def __getattr__(self, name: str) -> type:
        value = _placeholder(f"{self.__name__}.{name}", name)
        setattr(self, name, value)  # the same object each time, so that `is` and isinstance hold
        return value


class _Submodules(MetaPathFinder, Loader):
    """Finds any submodule of one absent package."""

    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """A package of placeholders for any name below the absent package."""
        return ModuleSpec(fullname, self, is_package=True) if fullname.startswith(self._prefix) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module whose names are placeholders."""
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is to be run."""


def stand_in(package: str, version: str) -> None:
    """Turn the module that calls this, `package`, into a stand-in of that version."""
    module = sys.modules[package]
    module.__class__ = _AbsentModule
    module.__path__ = []
    module.__version__ = version
    sys.meta_path.append(_Submodules(package))
