"""The families that there are. Another one is a file beside this one, and a name here."""

from training.model.families.gemma3 import GEMMA3
from training.model.families.llama3 import LLAMA3
from training.model.families.qwen2 import QWEN2
from training.model.families.qwen3 import QWEN3

FAMILIES = {family.model_type: family for family in (QWEN3, QWEN2, LLAMA3, GEMMA3)}
"""By `model_type`."""

_NAMES = [family.name for family in FAMILIES.values()]
NAMES = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""As a sentence lists them."""
