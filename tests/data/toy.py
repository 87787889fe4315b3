"""The data settings of the profile `cpu`, changed as a test needs them."""

from pathlib import Path
from typing import Any

from data.settings import DataSettings
from tasks.disk.layout import Layout
from tasks.profile import load_profile


def toy(**changes: Any) -> DataSettings:
    """What the tiny model is taught, in fewer problems, say."""
    settings = load_profile(Layout(Path(__file__).parents[2], "cpu")).data
    return DataSettings.model_validate(settings.model_dump() | changes)
