"""Trains without a night: `python -m training sft` and `python -m training grpo`, on any machine.

    python -m training grpo --profile h200 --checkpoint TORCH_DIST --prompts train.jsonl \\
        --problems problems.jsonl --out-dir runs/a --lr 1e-6 --num-rollout 200

Settings are the code's defaults, those of `--profile`, then flags; `training.arguments.parse` has the rules.
The processes are started here; of several nodes each runs the same command with its own --node-rank. Started
again with the same settings, a run goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from training.arguments.help import add_settings_help
from training.arguments.parse import changes, read_arguments
from training.arguments.profile_file import read_settings, validated
from training.checkpoint.folders import METRICS, OUTPUT, SAMPLES, SNAPSHOTS
from training.launch.address import LOOPBACK
from training.launch.local import REQUEUE, ProcessError, Requeue, run_job
from training.launch.nodes import Node
from training.policy.checks import prompt_room, require_validation
from training.preflight.gpu_memory import check_memory
from training.preflight.machine import check_gpu_users, check_gpus
from training.settings.architecture import read_architecture
from training.settings.implied import check_given
from training.settings.jobs import GrpoJob, SftJob, TrainingSettings

PROFILES = Path("infra", "profiles")
#: What a run writes into its folder, and cuts back or replaces when it is started again.
_WRITTEN = (SNAPSHOTS, OUTPUT, METRICS, SAMPLES, "job.json", "stderr.log")
#: Options that name what a run reads.
_INPUTS = ("checkpoint", "rows", "prompts", "problems", "validation")


class RunSettings(TrainingSettings):
    """The sections of a profile that training or judging reads; those of nights are left aside."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """Section `evaluation:`."""

    @property
    def training(self) -> TrainingSettings:
        """All but `evaluation:`."""
        return TrainingSettings(**{name: getattr(self, name) for name in TrainingSettings.model_fields})


SECTIONS = {name: type(section) for name, section in RunSettings()}
#: The sections that each command reads; a flag for another one would change nothing.
READS = {
    "sft": frozenset({"megatron", "model", "sft"}),
    "grpo": frozenset({"evaluation", "grpo", "megatron", "model", "rollout", "sglang"}),
}


def resolve(profile: str | None, flags: Sequence[str], reads: frozenset[str]) -> RunSettings:
    """Defaults, then the profile, then flags, as one immutable value.

    Args:
        profile: path of a YAML file, or the name of one in `infra/profiles/`; none for the defaults.
        flags: settings and their values.
        reads: the sections that the command reads.

    Raises:
        WarpsmithError: naming what is wrong in either.
    """
    path = Path("the defaults") if profile is None else _profile_path(profile)
    values = {name: {} for name in SECTIONS} if profile is None else read_settings(path)
    missing = [name for name in SECTIONS if name not in values]
    if missing:
        raise WarpsmithError(f"{path}: `{missing[0]}` is missing; add `{missing[0]}: {{}}` for its defaults")
    sections = {name: values[name] for name in SECTIONS}
    overrides = read_arguments(flags, dict(validated(RunSettings, sections, path)), reads)
    if any(overrides.values()):
        print(f"flags set {changes(overrides)}", flush=True)
    return validated(RunSettings, sections, path, overrides)


def _profile_path(profile: str) -> Path:
    """A name means a profile of ours, anything with a folder or an ending a file."""
    path = Path(profile)
    return path if path.suffix or len(path.parts) > 1 else PROFILES / f"{profile}.yaml"


def train(options: argparse.Namespace, flags: Sequence[str]) -> None:
    """Check everything, then train to the end.

    Raises:
        Requeue: the run was asked to stop; the same command goes on.
        WarpsmithError: for what the user can put right.
        ProcessError: the training processes failed otherwise.
    """
    node = _node(options)
    settings = resolve(options.profile, flags, READS[options.command])
    job = _job(options, settings)
    _check(options, settings, node)
    if isinstance(job, GrpoJob):
        _check_grpo(job)
    processes = settings.megatron.nproc_per_node
    run_job(f"training.{options.command}", job, options.out_dir, processes, node)
    print(f"wrote {options.out_dir / OUTPUT}")


def _node(options: argparse.Namespace) -> Node:
    """This machine among those that run the command; WarpsmithError if it cannot be."""
    if options.nnodes > 1 and options.master_addr is None:
        raise WarpsmithError(
            f"--nnodes {options.nnodes} needs --master-addr, the first node's name or address; all nodes get "
            "the same"
        )
    node = Node(
        count=options.nnodes,
        number=options.node_rank,
        address=options.master_addr or LOOPBACK,
        port=options.master_port,
    )
    node.check()
    return node


def _job(options: argparse.Namespace, settings: RunSettings) -> SftJob | GrpoJob:
    if options.command == "sft":
        return SftJob(
            settings=settings.training,
            checkpoint=options.checkpoint,
            rows=options.rows,
            out_dir=options.out_dir,
        )
    return GrpoJob(
        settings=settings.training,
        evaluation=settings.evaluation,
        checkpoint=options.checkpoint,
        prompts=options.prompts,
        problems=options.problems,
        validation=options.validation,
        out_dir=options.out_dir,
    )


def _check(options: argparse.Namespace, settings: RunSettings, node: Node) -> None:
    """Find what would stop the run before any process is started for it."""
    megatron = settings.megatron
    check_gpus(megatron)
    if options.command == "grpo":
        check_gpu_users(settings, settings.evaluation, node.count)
    _check_folders(options)
    if not (options.checkpoint / "hf").is_dir():
        raise WarpsmithError(
            f"{options.checkpoint} is not a torch_dist checkpoint; "
            "`python -m training.checkpoint to-megatron HF_DIR OUT_DIR` makes one"
        )
    architecture = read_architecture(options.checkpoint / "hf")
    architecture.check_split(megatron.tensor_model_parallel_size, megatron.pipeline_model_parallel_size)
    check_given(architecture, megatron.model_dump())
    judged = settings.evaluation if options.command == "grpo" else None
    memory = check_memory(settings, architecture, judged, node.count)
    if memory:
        print(memory, flush=True)
    for name in ("rows", "prompts", "problems", "validation"):
        path = getattr(options, name, None)
        if path is not None and not path.is_file():
            raise WarpsmithError(f"--{name} names {path}, which is no file")


def _check_folders(options: argparse.Namespace) -> None:
    """Raise WarpsmithError if the run would write over what it reads, or into its checkpoint."""
    out_dir = options.out_dir.resolve()
    for name in _INPUTS:
        path = getattr(options, name, None)
        if path is not None and any(path.resolve().is_relative_to(out_dir / output) for output in _WRITTEN):
            raise WarpsmithError(
                f"--{name} {path} is what a run with --out-dir {options.out_dir} replaces; choose another "
                "--out-dir"
            )
    if out_dir.is_relative_to(options.checkpoint.resolve()):
        raise WarpsmithError(f"--out-dir {options.out_dir} lies in --checkpoint; choose another --out-dir")


def _check_grpo(job: GrpoJob) -> None:
    """Find what GRPO's processes would stop at once for; what takes long to import comes last."""
    hf_dir = job.checkpoint / "hf"
    require_validation(job)
    architecture = read_architecture(hf_dir)
    prompt_room(job, architecture)
    if job.settings.grpo.eval_interval is not None:
        prompt_room(job, architecture, evaluates=True)
    from training.rollout.open import check_engine
    from training.rollout.rewards.custom import check_functions

    check_functions(job.settings.rollout)
    check_engine(job.settings, hf_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=(__doc__ or "").splitlines()[0],
        epilog="Settings are flags: Megatron's by their own names, SGLang's after --sglang-, ours as "
        "--SECTION-NAME (slime's names too). `sft --help` and `grpo --help` list all three groups.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    sft = _command(commands, "sft", "supervised fine-tuning")
    sft.add_argument("--rows", type=Path, required=True, help="JSONL of conversations (`messages`)")
    grpo = _command(commands, "grpo", "reinforcement learning on executed kernels")
    grpo.add_argument("--prompts", type=Path, required=True, help="JSONL of prompts to train on")
    grpo.add_argument("--problems", type=Path, required=True, help="JSONL of the prompts' problems")
    grpo.add_argument("--validation", type=Path, help="JSONL of prompts for grpo.eval_interval")
    return parser


def _command(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    """A subcommand with what both have in common."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary}, under torchrun", add_help=False, allow_abbrev=False
    )
    command.add_argument("--profile", help="a YAML file, or the name of one in infra/profiles/")
    command.add_argument("--checkpoint", type=Path, required=True, help="torch_dist folder to start from")
    command.add_argument("--out-dir", type=Path, required=True, help="where everything is written")
    nodes = command.add_argument_group("several nodes", "the same command on each, but for --node-rank")
    nodes.add_argument("--nnodes", type=_positive, default=1, help="nodes that train together")
    nodes.add_argument("--node-rank", type=int, default=0, help="this one's number, from 0")
    nodes.add_argument("--master-addr", help="the first node's name or address")
    nodes.add_argument("--master-port", type=_positive, default=29500, help="a free port of the first node")
    add_settings_help(command, SECTIONS)
    return command


def _positive(text: str) -> int:
    number = int(text)
    if not 0 < number < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {2**16 - 1}")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 2 where an error message says what to do, 75 to be started again."""
    options, flags = _parser().parse_known_args(argv)
    try:
        train(options, flags)
    except Requeue as request:
        print(request, file=sys.stderr)
        return REQUEUE
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; {_how_to_go_on(options.out_dir)}", file=sys.stderr)
        return 130
    return 0


def _how_to_go_on(out_dir: Path) -> str:
    """What the same command would do, which takes up the last checkpoint that was saved."""
    names = [path.name for path in (out_dir / SNAPSHOTS).glob("step_*")]
    steps = [int(match[1]) for name in names if (match := re.fullmatch(r"step_(\d+)", name))]
    if not steps:
        return "no checkpoint was saved yet, so the same command begins anew"
    return f"the same command goes on from step {max(steps)}, the last that was saved"
