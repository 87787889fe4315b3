"""`python -m training.checkpoint`: see `training.checkpoint.commands`."""

import sys

from training.checkpoint.commands import main

if __name__ == "__main__":
    sys.exit(main())
