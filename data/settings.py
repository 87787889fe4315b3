"""The `data:` section of a profile: which problems a night draws and how kernels are taught."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from evaluation.marks import Result
from evaluation.problem import Frozen


class Task(StrEnum):
    """What a night's model is taught."""

    KERNEL = "kernel"  #: CUDA kernels for the generator's problems and for programs from sources
    MATH = "math"  #: answers to the questions of sources
    MIXED = "mixed"  #: both, in one set of prompts

    @property
    def has_kernels(self) -> bool:
        """Whether problems for kernels are drawn and read."""
        return self is not Task.MATH

    @property
    def has_questions(self) -> bool:
        """Whether questions are read."""
        return self is not Task.KERNEL


class PromptStyle(StrEnum):
    """How a problem is put to the model."""

    SHORT = "short"  #: the function body and its shapes, about 25 tokens: for the tiny model
    FULL = "full"  #: the contract explained and the whole program: for a model that knows English


class KernelStyle(StrEnum):
    """How a solution spreads its work over threads."""

    UNGUARDED = "unguarded"  #: exact grid, no bounds guard: correct at aligned sizes only
    PER_OUTPUT = "per_output"  #: one guarded thread per output element (or per row)
    GRID_STRIDE = "grid_stride"  #: a fixed grid whose threads step over the data
    VECTORIZED = "vectorized"  #: float4 loads and stores, scalar tail
    SHARED = "shared"  #: a block works together through shared memory
    SHUFFLE = "shuffle"  #: a warp works together through shuffles
    REGISTERS = "registers"  #: a thread computes a block of outputs in registers
    ONLINE = "online"  #: one pass whose partial results are rescaled as it goes
    MMA = "mma"  #: matrix fragments of half precision


#: All that guard their bounds, as often as each other.
_STYLE_WEIGHTS = {style: 1.0 for style in KernelStyle if style is not KernelStyle.UNGUARDED}


class Counts(Frozen):
    """How many generated problems of the composed levels one split gets."""

    level2: Result[int] = Field(ge=0)
    """Problems of two operators."""
    level3: Result[int] = Field(ge=0)
    """Problems of three operators."""
    graphs: Result[int] = Field(default=0, ge=0)
    """Problems of 1, 2, 3, 5 or 10 operators, of any kind and dtype: `data.composing`."""


class DataSettings(Frozen):
    """What `prepare` draws, teaches and holds out. The defaults are for a model that knows English."""

    task: Result[Task] = Task.KERNEL
    """What is taught: kernels, answers to the questions of `sources` (`docs/math.md`), or both."""
    seed: Result[int] = 0
    """Joined with the night's name to seed the training problems and kernels."""
    split_seed: Result[int] = 1234
    """Seeds the splits and the held-out and validation problems: the same on every night."""
    operators: Result[tuple[str, ...]] = ()
    """Names of the operators that problems are drawn from, in the order of the single ones; none for all."""
    prompt_style: Result[PromptStyle] = PromptStyle.FULL
    """How prompts are written."""
    level1_per_operator: Result[int] = Field(default=4, ge=1)
    """At most this many single-operator problems for each operator, all of them for training."""
    train: Counts = Counts(level2=400, level3=1000)
    """Composed problems for training."""
    validation: Counts = Counts(level2=10, level3=20)
    """Composed problems for choosing settings."""
    heldout: Counts = Counts(level2=50, level3=100)
    """Composed problems for the report: never used to choose anything."""
    heldout_share: Result[float] = Field(default=0.25, gt=0, lt=1)
    """Share of the two- and three-operator combinations that is held out."""
    validation_share: Result[float] = Field(default=0.05, gt=0, lt=1)
    """Share of the combinations that is kept for validation."""
    structured_share: Result[float] = Field(default=0.05, ge=0, le=1)
    """Share of the level-2 problems with softmax, a norm, a matmul, a transpose or a cumulative sum."""
    broadcast_share: Result[float] = Field(default=0.1, ge=0, le=1)
    """Share of the composed two-input problems whose second input is one row, broadcast."""
    refuse_idle_inputs: Result[bool] = True
    """Whether to refuse generated problems one of whose inputs cancels out, `y` in `min(max(x, y), y)` say.

    To leave it out is right there. Where kernels are timed it reads less than the roofline takes for
    possible; where they are not, such problems do no harm.
    """
    tolerance: Result[float] = Field(default=2e-4, gt=0)
    """Allowed error of generated problems, relative to the size of the expected values."""
    sft_rows: Result[int] = Field(default=4096, ge=0)
    """At most this many rows in sft.jsonl."""
    kernels_per_problem: Result[int] = Field(default=3, ge=1)
    """Kernels of different styles written for one training problem."""
    unguarded_share: Result[float] = Field(default=0.0, ge=0, le=1)
    """Share of SFT kernels without a bounds guard: the planted bug that GRPO can unlearn.

    A problem gets one such kernel at most, so values above 1 / kernels_per_problem change nothing.
    """
    style_weights: Result[dict[KernelStyle, float]] = Field(default=_STYLE_WEIGHTS, validate_default=True)
    """Relative frequency of the guarded styles, among those that fit a problem."""
    sources: Result[tuple[str, ...]] = ()
    """Extra sources of programs, or of questions as `task` says, relative to the working folder: a path of a
    JSONL file or a folder, or `KIND:PATH` as `python -m data.prepare --help` lists them."""

    @model_validator(mode="after")
    def _shares_and_weights_make_sense(self) -> DataSettings:
        if self.heldout_share + self.validation_share >= 1:
            raise ValueError("heldout_share + validation_share must leave combinations for training")
        if any(weight < 0 for weight in self.style_weights.values()):
            raise ValueError("style_weights must not be negative")
        if KernelStyle.UNGUARDED in self.style_weights:
            raise ValueError("style_weights names guarded styles only; unguarded_share sets the others")
        if self.style_weights.get(KernelStyle.PER_OUTPUT, 0) == 0:
            raise ValueError("style_weights needs per_output above 0: the one style that always fits")
        return self
