"""What a batch script asks Slurm for; that it does what it should is tested with a real Slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.launch.slurm.node import node_of_job
from training.launch.slurm.script import batch_script
from training.settings.launcher import LauncherSettings

DELTA = LauncherSettings(
    kind="slurm",
    nodes=2,
    partition="gpuA100x4",
    account="abcd-delta-gpu",
    time="48:00:00",
    memory="220G",
    cpus_per_node=64,
    gpus_per_node=4,
    interface="hsn0",
    options=("--constraint=scratch",),
    setup=("module load cuda",),
    container=("apptainer", "exec", "--nv", "--bind", "/work/nvme", "my image.sif"),
    python="/opt/trainer/bin/python",
)


def script(settings: LauncherSettings) -> str:
    return batch_script(settings, "warpsmith-1", ["-m", "a.module", "a b"], Path("/a checkout"), Path("/out"))


def test_a_script_asks_for_what_the_settings_say():
    lines = script(DELTA).splitlines()
    asked = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert asked == [
        *(
            "--job-name=warpsmith-1",
            "--nodes=2",
            "--ntasks-per-node=1",
            "--partition=gpuA100x4",
            "--account=abcd-delta-gpu",
        ),
        *(
            "--time=48:00:00",
            "--mem=220G",
            "--cpus-per-task=64",
            "--gpus-per-node=4",
            "--output=/out/slurm.log",
        ),
        *("--open-mode=append", "--signal=B:USR1@300", "--requeue", "--constraint=scratch"),
    ]
    assert "cd '/a checkout' || exit 1" in lines and "module load cuda" in lines
    assert "export GLOO_SOCKET_IFNAME=hsn0 NCCL_SOCKET_IFNAME=hsn0" in lines
    (srun,) = (line for line in lines if line.startswith("srun "))
    inside = "apptainer exec --nv --bind /work/nvme 'my image.sif' /opt/trainer/bin/python -m a.module 'a b'"
    assert f" {inside} &" in srun and " --cpus-per-task=64 " in srun


def test_a_script_without_wishes_leaves_them_to_slurm():
    text = script(LauncherSettings(kind="slurm"))
    for option in ("partition", "account", "mem", "gpus", "cpus"):
        assert f"--{option}" not in text
    assert "export" not in text


@pytest.mark.parametrize("settings", [DELTA, LauncherSettings(kind="slurm")])
def test_a_script_is_one_that_bash_reads(settings):
    done = subprocess.run(["bash", "-n"], input=script(settings), text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_several_nodes_are_slurms():
    with pytest.raises(ValidationError, match="nodes 2 need `kind: slurm`"):
        LauncherSettings(nodes=2)


def test_two_jobs_on_a_node_do_not_share_a_port():
    said = {"SLURM_NNODES": "2", "SLURM_NODEID": "1", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}
    nodes = [node_of_job(said | {"SLURM_JOB_ID": str(job)}) for job in (4711, 4712)]
    assert nodes[0].port != nodes[1].port
    assert (nodes[0].count, nodes[0].number, nodes[0].address) == (2, 1, "10.0.0.1") and nodes[0].managed
