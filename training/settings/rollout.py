"""The section `rollout:` of a profile: what generates, where, and how responses are sampled and rewarded.

Nothing here imports torch, Megatron or SGLang.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, model_validator

from evaluation.marks import Machine, Result
from evaluation.problem import Frozen
from training.settings.sglang import WeightSync

KERNEL, MATH, MIXED = "kernel", "math", "mixed"
"""Names of the built-in rewards: kernels are executed, answers compared, or either by the task of the row."""
BUILT_IN = (KERNEL, MATH, MIXED)


class Engine(StrEnum):
    """What generates responses."""

    LOCAL = "local"  #: in the training process, for machines without a GPU
    SGLANG = "sglang"  #: SGLang servers over HTTP


class RolloutSettings(Frozen):
    """How responses are sampled."""

    engine: Machine[Engine] = Engine.LOCAL
    """What generates responses."""
    temperature: Result[float] = Field(default=1.0, ge=0)
    """Sampling temperature; it divides the training logits too. 0 takes the likeliest token."""
    top_p: Result[float] = Field(default=1.0, gt=0, le=1)
    """Sample from the fewest likeliest tokens that have this probability together; 1 is off. What it cuts
    off still counts in the log-probabilities, as it does for the trainer: below 1 what is sampled is likelier
    than they say, and the policy that is trained is not quite the one that wrote."""
    top_k: Result[int] = Field(default=-1, ge=-1)
    """Sample from this many likeliest tokens; -1 is off. The log-probabilities are those of `top_p`."""
    max_new_tokens: Result[int] = Field(default=4096, ge=1)
    """Longest response in tokens; longer ones are cut and count as truncated."""
    batch_size: Machine[int] = Field(default=128, ge=1)
    """Sequences that the local engine decodes together."""

    reward_function: Result[str] = KERNEL
    """What a response is worth: `kernel` executes it, `math` compares its answer with the label, `mixed` goes
    by the row's `metadata.task`; any other is named as `module:function`."""
    filter_function: Result[str] = "all"
    """Which groups are trained on: `all`; `spread` for those whose rewards differ (DAPO's dynamic sampling,
    with `grpo.sampling_rounds` above 1); any other is named as `module:function`."""
    generate_function: Result[str | None] = None
    """Writes one response, over several turns with tools, say: `module:function`; none asks the engine."""
    rollout_function: Result[str | None] = None
    """Writes and rewards the responses to many prompts: `module:function`; none generates and then judges."""

    engine_urls: Machine[tuple[str, ...]] = ()
    """SGLang servers that run already (`http://host:port`), which are used and never stopped; none starts
    `num_engines` of our own."""
    num_engines: Machine[int] = Field(default=1, ge=1)
    """SGLang servers to start, over all nodes."""
    gpus_per_engine: Machine[int] = Field(default=1, ge=1)
    """GPUs that share the model in one of them (SGLang's tp_size)."""
    colocate: Machine[bool] = True
    """Whether they take the trainer's GPUs, freeing their memory while it trains, or the GPUs after those."""
    router: Machine[bool] = False
    """Put the SGLang router in front of several engines; otherwise we give work to the least loaded."""
    weight_sync: Machine[WeightSync] = WeightSync.AUTO
    """How new weights reach the engines."""
    weight_bucket_mb: Machine[int] = Field(default=512, ge=1)
    """Size of the pieces in which weights are sent, in MiB."""
    weight_check_interval: Machine[int | None] = Field(default=None, ge=0)
    """Updates between proofs, by checksums, that the engines have the trainer's weights, from the first on;
    none proves the first alone, 0 not even that. An SGLang whose checksums are others costs a warning."""
    weight_folder: Machine[Path | None] = None
    """Folder for weights that go by disk; every engine must see it. None is in memory, for one machine."""
    server_python: Machine[str | None] = None
    """Interpreter that SGLang is installed for; none is the trainer's."""
    server_path: Machine[tuple[str, ...]] = ()
    """Folders that come first on the servers' PYTHONPATH, for an SGLang in a folder of its own. On a CPU,
    none means the stand-ins for GPU packages in infra/sglang-cpu/stubs."""
    server_start_timeout_s: Machine[float] = Field(default=600.0, gt=0)
    """Longest that a server may take to start, or one given by URL to come back."""
    server_max_restarts: Machine[int] = Field(default=3, ge=0)
    """How often a server that dies is started again; ten minutes of service count as a new beginning."""
    request_timeout_s: Machine[float] = Field(default=3600.0, gt=0)
    """Longest that a batch of responses may take before it is asked for again."""

    @model_validator(mode="after")
    def _what_cannot_be(self) -> RolloutSettings:
        if self.top_k == 0:
            raise ValueError("top_k must be at least 1, or -1 for off")
        if self.engine_urls and self.engine is not Engine.SGLANG:
            raise ValueError(
                f"engine_urls name SGLang servers, but engine is {self.engine.value}; set `engine: sglang`, "
                "or remove them"
            )
        return self

    def limited(self, max_new_tokens: int | None) -> RolloutSettings:
        """The same with another longest response, if one is given."""
        return self if max_new_tokens is None else self.model_copy(update={"max_new_tokens": max_new_tokens})

    @property
    def training_temperature(self) -> float:
        """What training logits are divided by (greedy decoding leaves them as they are)."""
        return self.temperature or 1.0
