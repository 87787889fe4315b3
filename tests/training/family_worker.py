"""What one of two ranks computes for the tests of model families; started under torchrun.

Arguments: a folder with torch_dist checkpoints by family, and those of `parallel_worker`, whose work is done
in the same processes: they take longest to start. Adds a checkpoint `<family>-tp2` that two processes
converted, and what `parallel_worker.compute` gives at TP 2 and at PP 2.
"""

import shutil
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from megatron.core import parallel_state

from tests.training.parallel_worker import compute, compute_layouts
from tests.training.tiny import FAMILIES
from training.checkpoint.conversion import write_torch_dist
from training.launch.local import run_worker
from training.launch.processes import is_main, process_groups
from training.settings.jobs import MegatronSettings

LAYOUTS = [(2, 1), (1, 2)]


def convert(source: Path, out_dir: Path) -> None:
    if is_main():
        shutil.copytree(source / "hf", out_dir / "hf")
    dist.barrier()
    write_torch_dist(out_dir / "hf", out_dir, tensor_parallel=2)


def main() -> None:
    folder, source, out = map(Path, sys.argv[1:4])
    with process_groups(MegatronSettings()):
        compute_layouts(source, out, sys.argv[4:])
        for name in FAMILIES:
            convert(folder / name, folder / f"{name}-tp2")
            for tp, pp in LAYOUTS:
                parallel_state.destroy_model_parallel()
                parallel_state.initialize_model_parallel(tp, pp)
                result = compute(folder / name, tp, pp)
                if is_main():
                    torch.save(result, folder / f"{name}-{tp}x{pp}.pt")


if __name__ == "__main__":
    run_worker(main)
