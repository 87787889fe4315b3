"""Follows SFT of a tiny model as a two-node job: `python -m tests.training.slurm_submitter DATA OUT LR`."""

import sys
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.launch.local import REQUEUE, Requeue
from training.launch.slurm.run import run_slurm_job
from training.settings.jobs import MegatronSettings, SftJob, TrainingSettings
from training.settings.launcher import LauncherSettings
from training.settings.optimization import SftSettings

STEPS = 400
SFT = {"batch_size": 8, "micro_batch_size": 8, "lr": 1e-3, "save_every": 10, "warmup_steps": 1}
LAUNCHER = LauncherSettings(kind="slurm", nodes=2, time="1:00:00", poll_s=0.5, warning_s=60)


def job(folder: Path, out_dir: Path, lr: float = 1e-3) -> SftJob:
    return SftJob(
        settings=TrainingSettings(
            megatron=MegatronSettings(nproc_per_node=1),
            sft=SftSettings(**SFT | {"steps": STEPS, "lr": lr}),
        ),
        checkpoint=folder / "torch_dist",
        rows=folder / "sft.jsonl",
        out_dir=out_dir,
    )


if __name__ == "__main__":
    wanted = job(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
    try:
        run_slurm_job("training.sft", wanted, wanted.out_dir, 1, LAUNCHER)
    except Requeue as request:
        print(request)
        sys.exit(REQUEUE)
    except WarpsmithError as error:
        print(f"error: {error}")
        sys.exit(2)
