"""The sections `model:` and `megatron:` of a profile, and the sections that training reads as one value.

`sft:` and `grpo:` are in optimization.py, `rollout:` and `sglang:` beside the engines. All are validated
once, into immutable values. Nothing in this module imports torch or Megatron: it is read by every command,
also by those that train nothing.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from evaluation.errors import WarpsmithError
from evaluation.marks import Machine, Result
from evaluation.problem import Frozen
from evaluation.settings import EvaluationSettings
from training.settings.implied import MODEL_FIELDS, ImpliedSettings
from training.settings.optimization import GrpoSettings, OptimizationSettings, SftSettings
from training.settings.rollout import Engine, RolloutSettings
from training.settings.sglang import Device, SglangSettings
from training.settings.supported import require_supported
from training.settings.upstream import checked, megatron_fields, nearest, resolve_type, with_free

#: What a random model is described by.
_SHAPE = (
    *("vocab_size", "num_hidden_layers", "hidden_size", "intermediate_size"),
    *("num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"),
)


class ModelSettings(Frozen):
    """Where the model of the first night comes from. The names are those of Hugging Face's Qwen3Config."""

    hf_checkpoint: Result[str | None] = None
    """Folder of a Hugging Face checkpoint to start from; none builds a random model of the shape below, all
    of which must be given then."""
    vocab_size: Result[int | None] = Field(default=None, ge=300)
    """Tokens of the BPE tokenizer that is trained beside the random model (its 256 bytes included)."""
    num_hidden_layers: Result[int | None] = Field(default=None, ge=1)
    """Transformer layers."""
    hidden_size: Result[int | None] = Field(default=None, ge=8)
    """Width of the residual stream."""
    intermediate_size: Result[int | None] = Field(default=None, ge=8)
    """Width of the SwiGLU feed-forward layer."""
    num_attention_heads: Result[int | None] = Field(default=None, ge=1)
    """Query heads."""
    num_key_value_heads: Result[int | None] = Field(default=None, ge=1)
    """Key and value heads; divides `num_attention_heads` (grouped-query attention)."""
    head_dim: Result[int | None] = Field(default=None, ge=2)
    """Width of one head; even, because rotary embeddings turn pairs of channels."""
    max_position_embeddings: Result[int | None] = Field(default=None, ge=16)
    """Longest sequence, prompt and response together, in tokens."""
    rope_theta: Result[float] = Field(default=10_000.0, gt=0)
    """Base of the rotary embedding's frequencies."""
    rms_norm_eps: Result[float] = Field(default=1e-6, gt=0)
    """Added to the mean square inside RMSNorm."""
    tie_word_embeddings: Result[bool] = True
    """Whether the output layer shares the embedding's weights."""
    initializer_range: Result[float] = Field(default=0.02, gt=0)
    """Standard deviation of the random model's weights."""
    seed: Result[int] = Field(default=0, ge=0, lt=2**32)
    """Seed of the random model's weights."""
    chat_template_kwargs: Result[dict[str, Any]] = Field(default_factory=dict)
    """What the tokenizer's chat template is told besides the chat (`enable_thinking: false`, say), in SFT,
    rollouts and evaluations alike."""

    @property
    def shape(self) -> dict[str, int]:
        """The random model's sizes, by the names of Qwen3Config.

        Raises:
            WarpsmithError: if one is not given.
        """
        given = {name: getattr(self, name) for name in _SHAPE}
        missing = [name for name, size in given.items() if size is None]
        if missing:
            raise WarpsmithError(
                "there is no model to start from: set model.hf_checkpoint, or for a random one "
                f"model.{missing[0]}"
            )
        return given

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelSettings:
        heads, shared = self.num_attention_heads, self.num_key_value_heads
        if heads is not None and shared is not None and heads % shared:
            raise ValueError("num_key_value_heads must divide num_attention_heads")
        if self.head_dim is not None and self.head_dim % 2:
            raise ValueError("head_dim must be even")
        return self


class FusedKernels(StrEnum):
    """What computes a layer's small operations, where a GPU is; a CPU always takes `none`."""

    AUTO = "auto"  #: liger if it is installed, else compile; none on a CPU
    LIGER = "liger"  #: Liger-Kernel's Triton kernels (2410.10989)
    COMPILE = "compile"  #: torch.compile
    NONE = "none"  #: plain PyTorch


#: What selective recomputation works for; Megatron's others need Transformer Engine or experts.
_RECOMPUTABLE = frozenset({"core_attn", "mlp"})


#: The layers that can have adapters, by their Hugging Face names.
LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class MegatronSettings(ImpliedSettings):
    """How training is spread over processes, and any further field of Megatron-core's own configs.

    A name that is not declared here must be a field of TransformerConfig, OptimizerConfig or
    DistributedDataParallelConfig, and is handed to whichever of them has it. What this trainer does not
    honour (`training.settings.supported`) may only have the value that it has anyway.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    MACHINE_EXTRAS: ClassVar[frozenset[str]] = frozenset(
        {
            *("recompute_granularity", "recompute_method", "recompute_modules", "recompute_num_layers"),
            *("distribute_saved_activations", "deallocate_pipeline_outputs", "gradient_accumulation_fusion"),
            *("bias_activation_fusion", "bias_dropout_fusion", "bucket_size", "overlap_grad_reduce"),
            *("pad_buckets_for_high_nccl_busbw", "batch_p2p_comm", "batch_p2p_sync", "config_logger_dir"),
            *("check_for_large_grads", "check_for_nan_in_grad", "log_num_zeros_in_grad"),
        }
    )
    """Megatron's fields that are no part of the result; see `evaluation.marks`."""

    nproc_per_node: Machine[int] = Field(default=1, ge=1)
    """Processes that torchrun starts; those beyond TP x PP are data-parallel replicas."""
    tensor_model_parallel_size: Machine[int] = Field(default=1, ge=1)
    """Processes that share each layer's matrices (TP)."""
    pipeline_model_parallel_size: Machine[int] = Field(default=1, ge=1)
    """Processes that share the stack of layers (PP)."""
    make_vocab_size_divisible_by: Result[int] = Field(default=1, ge=1)
    """The vocabulary is padded to a multiple of this times TP; 128 gives shapes that suit a GPU."""
    sequence_parallel: Machine[bool] = False
    """Divide norms and residuals along the sequence over the TP processes too; needs TP above 1."""
    use_distributed_optimizer: Result[bool] = False
    """Shard the optimizer state over data-parallel ranks."""
    bf16: Result[bool] = False
    """Train in bfloat16 with float32 master weights; off means float32 throughout."""
    use_dynamic_batch_size: Machine[bool] = False
    """Pack sequences into micro-batches of at most `max_tokens_per_gpu` tokens, without padding, and give
    every data-parallel rank the same work; off pads micro-batches of `micro_batch_size` sequences."""
    max_tokens_per_gpu: Machine[int] = Field(default=8192, ge=1)
    """Tokens of a packed micro-batch; a sequence that is longer travels alone."""
    fused_kernels: Machine[FusedKernels] = FusedKernels.AUTO
    """Kernels of norms, rotary embeddings, SwiGLU and the loss."""
    max_logits: Machine[int] = Field(default=2**29, ge=1)
    """Logits (tokens x vocabulary / TP) that are held at once; more are computed and forgotten in pieces."""

    lora_rank: Result[int] = Field(default=0, ge=0)
    """Train adapters of this rank (LoRA, 2106.09685) and leave the model as it is; 0 trains the model. Their
    usual learning rate is ten times the model's."""
    lora_alpha: Result[float] = Field(default=32.0, gt=0)
    """Adapters' outputs are multiplied by lora_alpha / lora_rank."""
    lora_target: Result[tuple[str, ...]] = Field(default=LORA_LAYERS, min_length=1)
    """The linear layers that have adapters, by their Hugging Face names."""

    @model_validator(mode="before")
    @classmethod
    def _free_settings(cls, values: Any) -> Any:
        return with_free(values, cls.model_fields.keys(), _megatron_value)

    @model_validator(mode="after")
    def _sizes(self) -> MegatronSettings:
        tp, pp = self.tensor_model_parallel_size, self.pipeline_model_parallel_size
        if self.nproc_per_node % (tp * pp):
            raise ValueError(
                f"nproc_per_node {self.nproc_per_node} is not a multiple of tensor_model_parallel_size x "
                f"pipeline_model_parallel_size ({tp} x {pp})"
            )
        if self.sequence_parallel and tp == 1:
            raise ValueError(
                "sequence_parallel needs tensor_model_parallel_size above 1; raise it or turn it off"
            )
        return self

    @model_validator(mode="after")
    def _adapters(self) -> MegatronSettings:
        strange = [name for name in self.lora_target if name not in LORA_LAYERS]
        if strange:
            raise ValueError(
                f"lora_target has {strange[0]}, a layer that is not there; the layers are "
                f"{', '.join(LORA_LAYERS)}"
            )
        details = ("lora_alpha", "lora_target")
        given = [n for n in details if getattr(self, n) != type(self).model_fields[n].default]
        if given and not self.lora_rank:
            raise ValueError(f"{given[0]} without lora_rank adapts nothing; set lora_rank (16 is usual)")
        return self

    @model_validator(mode="after")
    def _recomputation(self) -> MegatronSettings:
        extra = self.extra
        details = ("recompute_method", "recompute_num_layers", "recompute_modules")
        given = [name for name in details if extra.get(name) is not None]
        if given and extra.get("recompute_granularity") is None:
            raise ValueError(
                f"{given[0]} without recompute_granularity recomputes nothing; set that to full or selective"
            )
        strange = sorted(set(extra.get("recompute_modules") or ()) - _RECOMPUTABLE)
        if strange:
            known = ", ".join(sorted(_RECOMPUTABLE))
            raise ValueError(f"recompute_modules cannot have {strange[0]}; the modules are {known}")
        return self

    @property
    def extra(self) -> dict[str, Any]:
        """The settings that go to Megatron's own config classes unchanged."""
        return dict(self.__pydantic_extra__ or {})


def _megatron_value(name: str, value: Any) -> Any:
    """The value of a free `megatron:` setting, in its type; raises ValueError for what it cannot be."""
    field = megatron_fields().get(name)
    if field is None:
        known = megatron_fields().keys() | MegatronSettings.model_fields
        hint = f"the nearest valid name is `{nearest(name, known)}`"
        raise ValueError(f"unknown megatron setting `{name}`; {hint}")
    if name in OptimizationSettings.model_fields:
        raise ValueError(f"`{name}` belongs to each training stage; set `sft.{name}` and `grpo.{name}`")
    if name in MODEL_FIELDS and resolve_type(field.type) is None:
        return value  # compared with config.json later
    value = checked(field, value)
    if name not in MODEL_FIELDS:
        require_supported(field, value)
    return value


class TrainingSettings(Frozen):
    """The sections of a profile that training reads."""

    model: ModelSettings = ModelSettings()
    """Section `model:`."""
    megatron: MegatronSettings = MegatronSettings()
    """Section `megatron:`."""
    sft: SftSettings = SftSettings()
    """Section `sft:`."""
    grpo: GrpoSettings = GrpoSettings()
    """Section `grpo:`."""
    rollout: RolloutSettings = RolloutSettings()
    """Section `rollout:`."""
    sglang: SglangSettings = SglangSettings()
    """Section `sglang:`."""

    @model_validator(mode="after")
    def _custom_code_that_is_interrupted(self) -> TrainingSettings:
        for name in ("generate_function", "rollout_function"):
            if self.grpo.partial_rollout and getattr(self.rollout, name):
                raise ValueError(
                    f"grpo.partial_rollout cannot go on with what rollout.{name} has begun; turn one off"
                )
        return self

    @model_validator(mode="after")
    def _gpus_that_are_shared_in_turn(self) -> TrainingSettings:
        ours = self.rollout.engine is Engine.SGLANG and not self.rollout.engine_urls
        on_gpus = ours and self.sglang.device is Device.CUDA
        if self.grpo.asynchronous and self.rollout.colocate and on_gpus:
            raise ValueError(
                "grpo.asynchronous generates while it trains, so engines cannot share the trainer's GPUs; "
                "set rollout.colocate: false, which gives them the GPUs after those"
            )
        return self

    @model_validator(mode="after")
    def _penalty_that_leaves_room(self) -> TrainingSettings:
        buffer, longest = self.grpo.overlong_buffer, self.rollout.max_new_tokens
        if buffer > longest:
            raise ValueError(
                f"grpo.overlong_buffer {buffer} exceeds rollout.max_new_tokens {longest}, so every response "
                "would be penalised; lower it"
            )
        return self


class SftJob(Frozen):
    """All that one `python -m training.sft` run needs; written to a file that its processes read."""

    settings: TrainingSettings
    """The resolved settings."""
    checkpoint: Path
    """torch_dist folder to start from (with `hf/`: config and tokenizer)."""
    rows: Path
    """JSONL of conversations (`messages`)."""
    out_dir: Path
    """Where checkpoints/, torch_dist/ and metrics.jsonl go."""


class GrpoJob(Frozen):
    """All that one `python -m training.grpo` run needs; written to a file that its processes read."""

    settings: TrainingSettings
    """The resolved settings."""
    evaluation: EvaluationSettings
    """How responses are judged."""
    checkpoint: Path
    """torch_dist folder to start from (with `hf/`: config and tokenizer)."""
    prompts: Path
    """JSONL of slime rows (`prompt`, `label`, `metadata`)."""
    problems: Path
    """JSONL of problems that the rows' `problem_id` points into."""
    validation: Path | None = None
    """JSONL of prompts to evaluate on every `grpo.eval_interval` steps."""
    out_dir: Path
    """Where checkpoints/, torch_dist/, metrics.jsonl and rollouts.jsonl go."""
