"""A process under torchrun that ends in the way its argument names."""

import os
import sys
import time
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.launch.local import run_worker


def wait_for_the_end(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    while not (folder / "end").exists():
        time.sleep(0.05)


def fail_alone(error: Exception) -> None:
    """Rank 1 fails, slowly, while rank 0 waits for it."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        if dist.get_rank() == 1:
            raise error
        dist.barrier()
    finally:
        dist.destroy_process_group()
        time.sleep(float(os.environ["RANK"]))  # so rank 0 is the first to tell


def main() -> None:
    match sys.argv[1]:
        case "waiting":
            assert os.environ["OMP_NUM_THREADS"] == "1"
            wait_for_the_end(Path(sys.argv[2]))
        case "rank 1 explained":
            fail_alone(WarpsmithError("the other cable is loose; plug it in"))
        case "rank 1 bug":
            fail_alone(KeyError("unexpected"))
        case how if os.environ["RANK"] == "0":
            fail(how)


def fail(how: str) -> None:
    match how:
        case "explained":
            raise WarpsmithError("the cable is loose; plug it in")
        case "full":
            try:
                raise OSError(28, "No space left on device", "weights.bin")
            except OSError as error:
                raise RuntimeError("could not save") from error
        case "bug":
            raise KeyError("unexpected")


if __name__ == "__main__":
    run_worker(main)
