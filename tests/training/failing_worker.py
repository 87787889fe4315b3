"""A process under torchrun that ends in the way its argument names."""

import os
import sys
import time
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.launch import run_worker


def wait_for_the_end(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    while not (folder / "end").exists():
        time.sleep(0.05)


def main() -> None:
    if sys.argv[1] == "waiting":
        wait_for_the_end(Path(sys.argv[2]))
        return
    if os.environ["RANK"] == "1":
        return
    match sys.argv[1]:
        case "explained":
            raise WarpsmithError("the cable is loose; plug it in")
        case "full":
            try:
                raise OSError(28, "No space left on device", "weights.bin")
            except OSError as error:
                raise RuntimeError("could not save") from error
        case "bug":
            raise KeyError("unexpected")
        case "environment":
            assert os.environ["OMP_NUM_THREADS"] == "1"


if __name__ == "__main__":
    run_worker(main)
