"""Trains one job after the other in the same processes, which take longest to start; started under torchrun.

Arguments: KIND JOB.json KIND JOB.json ...
"""

import sys
from pathlib import Path

import training.grpo
import training.sft
from training.launch.local import run_worker
from training.launch.processes import process_groups
from training.settings.jobs import GrpoJob, MegatronSettings, SftJob


def main() -> None:
    with process_groups(MegatronSettings()):
        for kind, file in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
            text = Path(file).read_text()
            if kind == SftJob.__name__:
                training.sft.train(SftJob.model_validate_json(text))
            else:
                training.grpo.train(GrpoJob.model_validate_json(text))


if __name__ == "__main__":
    run_worker(main)
