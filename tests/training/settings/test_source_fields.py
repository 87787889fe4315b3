"""Fields read from a class's source: what they are, and that Megatron's are those of its dataclasses."""

from __future__ import annotations

import dataclasses

import pytest

from training.settings.source_fields import SourceField, class_fields

SOURCE = '''
class Other:
    size: str = "x"

class Settings:
    """A class."""

    size: int = 3
    """How
    large."""
    names: "list[str] | None" = field(default=None, repr=False)
    made: dict = field(default_factory=dict)
    last: float = Field(default=0.5, gt=0)
    """The last."""

    def method(self): ...
'''


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "settings.py"
    file.write_text(SOURCE)
    return file


def test_type_default_and_docstring_are_read(path):
    assert class_fields(path, "Settings") == (
        SourceField("size", "int", "3", "How large."),
        SourceField("names", "list[str] | None", "None", ""),
        SourceField("made", "dict", "", ""),
        SourceField("last", "float", "0.5", "The last."),
    )


def test_an_unknown_class_is_an_error(path):
    with pytest.raises(LookupError, match="defines no class Missing"):
        class_fields(path, "Missing")


def test_megatrons_fields_are_those_of_its_dataclasses():
    from megatron.core.distributed import DistributedDataParallelConfig
    from megatron.core.optimizer import OptimizerConfig
    from megatron.core.transformer.transformer_config import TransformerConfig

    from training.settings.upstream import megatron_fields

    configs = (TransformerConfig, OptimizerConfig, DistributedDataParallelConfig)
    assert set(megatron_fields()) == {f.name for config in configs for f in dataclasses.fields(config)}
