"""`python -m training sft ...` and `python -m training grpo ...`: see `training.command`."""

from __future__ import annotations

import sys

from training.command import main

sys.exit(main())
