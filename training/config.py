"""Every setting of the model, of training and of rollouts, with the defaults of the `cpu` profile.

A profile's sections `model:`, `megatron:`, `sft:`, `grpo:` and `rollout:` are validated by the
classes here, once, into immutable values. Nothing in this module imports torch or Megatron: it is
read by every command, also by those that train nothing.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from evaluation.problem import Frozen
from evaluation.settings import EvaluationSettings
from training.implied import MODEL_FIELDS, ImpliedSettings
from training.rollout.sglang.settings import SglangSettings, WeightSync
from training.upstream import checked, megatron_fields, nearest, resolve_type


class ModelSettings(Frozen):
    """Where the model of the first night comes from. The names are those of Hugging Face's Qwen3Config."""

    hf_checkpoint: str | None = None
    """Folder of a Hugging Face checkpoint to start from; none builds a random model of the shape below."""
    vocab_size: int = Field(default=512, ge=300)
    """Tokens of the BPE tokenizer that is trained beside the random model (its 256 bytes included)."""
    num_hidden_layers: int = Field(default=3, ge=1)
    """Transformer layers."""
    hidden_size: int = Field(default=128, ge=8)
    """Width of the residual stream."""
    intermediate_size: int = Field(default=384, ge=8)
    """Width of the SwiGLU feed-forward layer."""
    num_attention_heads: int = Field(default=4, ge=1)
    """Query heads."""
    num_key_value_heads: int = Field(default=2, ge=1)
    """Key and value heads; divides `num_attention_heads` (grouped-query attention)."""
    head_dim: int = Field(default=32, ge=2)
    """Width of one head; even, because rotary embeddings turn pairs of channels."""
    max_position_embeddings: int = Field(default=512, ge=16)
    """Longest sequence, prompt and response together, in tokens."""
    rope_theta: float = Field(default=10_000.0, gt=0)
    """Base of the rotary embedding's frequencies."""
    rms_norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the mean square inside RMSNorm."""
    tie_word_embeddings: bool = True
    """Whether the output layer shares the embedding's weights."""
    initializer_range: float = Field(default=0.02, gt=0)
    """Standard deviation of the random model's weights."""
    seed: int = 0
    """Seed of the random model's weights."""

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelSettings:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_key_value_heads must divide num_attention_heads")
        if self.head_dim % 2:
            raise ValueError("head_dim must be even")
        return self


class FusedKernels(StrEnum):
    """What computes a layer's small operations, where a GPU is; a CPU always takes `none`."""

    AUTO = "auto"  #: liger if it is installed, else compile; none on a CPU
    LIGER = "liger"  #: Liger-Kernel's Triton kernels (2410.10989)
    COMPILE = "compile"  #: torch.compile
    NONE = "none"  #: plain PyTorch


class MegatronSettings(ImpliedSettings):
    """How training is spread over processes, and any further field of Megatron-core's own configs.

    A name that is not declared here must be a field of TransformerConfig, OptimizerConfig or
    DistributedDataParallelConfig, and is handed to whichever of them has it.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    nproc_per_node: int = Field(default=2, ge=1)
    """Processes that torchrun starts; those beyond TP x PP are data-parallel replicas."""
    tensor_model_parallel_size: int = Field(default=1, ge=1)
    """Processes that share each layer's matrices (TP)."""
    pipeline_model_parallel_size: int = Field(default=1, ge=1)
    """Processes that share the stack of layers (PP)."""
    make_vocab_size_divisible_by: int = Field(default=1, ge=1)
    """The vocabulary is padded to a multiple of this times TP; 128 gives shapes that suit a GPU."""
    sequence_parallel: bool = False
    """Divide norms and residuals along the sequence over the TP processes too; needs TP above 1."""
    use_distributed_optimizer: bool = False
    """Shard the optimizer state over data-parallel ranks."""
    bf16: bool = False
    """Train in bfloat16 with float32 master weights; off means float32 throughout."""
    use_dynamic_batch_size: bool = False
    """Pack sequences into micro-batches of at most `max_tokens_per_gpu` tokens, without padding, and give
    every data-parallel rank the same work; off pads micro-batches of `micro_batch_size` sequences."""
    max_tokens_per_gpu: int = Field(default=8192, ge=1)
    """Tokens of a packed micro-batch; a sequence that is longer travels alone."""
    fused_kernels: FusedKernels = FusedKernels.AUTO
    """Kernels of norms, rotary embeddings, SwiGLU and the loss."""
    max_logits: int = Field(default=2**29, ge=1)
    """Logits (tokens x vocabulary / TP) that are held at once; more are computed and forgotten in pieces."""

    @model_validator(mode="before")
    @classmethod
    def _free_settings(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        free = sorted(map(str, values.keys() - cls.model_fields.keys()))
        return {**values, **{name: _megatron_value(name, values.get(name)) for name in free}}

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
    return checked(field, value)


class LrDecayStyle(StrEnum):
    """How the learning rate falls at the end."""

    LINEAR = "linear"  #: by a line
    COSINE = "cosine"  #: by half a cosine


class OptimizationSettings(Frozen):
    """What SFT and GRPO have in common: AdamW, its schedule, checkpoints and the seed."""

    steps: int = Field(ge=0)
    """Steps of the stage (batches for SFT, rollouts for GRPO)."""
    lr: float = Field(gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps over which the rate rises linearly from 0."""
    decay_fraction: float = Field(default=0.0, ge=0, le=1)
    """Share of the optimizer steps, at the end and after warm-up, over which the rate falls to `min_lr`."""
    lr_decay_style: LrDecayStyle = LrDecayStyle.LINEAR
    """How it falls; cosine with a `decay_fraction` of 1 is the usual cosine schedule."""
    min_lr: float = Field(default=0.0, ge=0)
    """Learning rate after the decay."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW); not applied to norms."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the mean of gradients."""
    adam_beta2: float = Field(default=0.95, ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator of Adam."""
    clip_grad: float = Field(default=1.0, ge=0)
    """Largest global gradient norm; 0 does not clip."""
    micro_batch_size: int = Field(default=16, ge=1)
    """Sequences in one forward and backward pass: changes speed and memory, and the result only by rounding.
    On a CPU 8 to 16 short sequences stay in its caches and are a fifth faster than 64."""
    save_every: int = Field(default=50, ge=1)
    """Steps between checkpoints; the last step is always saved."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """Complete checkpoints that are kept; older ones are deleted."""
    seed: int = 0
    """Seed of the order of the data and of sampling."""


class SftSettings(OptimizationSettings):
    """Supervised fine-tuning on verified kernels: next-token loss on the assistant's tokens only."""

    steps: int = Field(default=180, ge=0)
    """Batches to train on; epochs follow from it."""
    batch_size: int = Field(default=32, ge=1)
    """Conversations in one optimizer step, over all data-parallel ranks."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(default=20, ge=0)
    """Steps over which the rate rises linearly from 0."""
    decay_fraction: float = Field(default=0.3, ge=0, le=1)
    """Share of the steps, at the end and after the warm-up, over which the rate falls to `min_lr`."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay (AdamW); not applied to norms."""
    max_length: int = Field(default=512, ge=2)
    """Longest conversation in tokens; longer ones are left out and counted."""
    save_every: int = Field(default=60, ge=1)
    """Steps between checkpoints; the last step is always saved."""


class Advantage(StrEnum):
    """How rewards of a group become advantages."""

    GRPO = "grpo"  #: (r - mean) / (std + 1e-6), DeepSeekMath 2402.03300
    DR_GRPO = "dr_grpo"  #: r - mean, Dr.GRPO 2503.20783
    RLOO = "rloo"  #: (r - mean) * n / (n - 1), the leave-one-out baseline


class Aggregation(StrEnum):
    """How token losses become one loss."""

    TOKEN_MEAN = "token_mean"  #: sum over all tokens / number of tokens, DAPO 2503.14476
    SEQUENCE_MEAN = "sequence_mean"  #: mean over sequences of the mean over tokens
    CONSTANT = "constant"  #: sum over all tokens / (max_new_tokens * sequences), Dr.GRPO 2503.20783


class Kl(StrEnum):
    """Estimators of KL(policy || reference) from d = logp - logp_ref, after Schulman (2020)."""

    K1 = "k1"  #: d
    K2 = "k2"  #: d^2 / 2
    K3 = "k3"  #: exp(-d) - 1 + d


class GrpoSettings(OptimizationSettings):
    """Group-relative policy optimisation with rewards from really executing the kernels."""

    steps: int = Field(default=30, ge=0)
    """Rollouts; each is followed by `minibatches` optimizer steps."""
    prompts_per_step: int = Field(default=16, ge=1)
    """Problems drawn for one rollout."""
    samples_per_prompt: int = Field(default=8, ge=1)
    """Responses per problem: the group that rewards are compared in."""
    minibatches: int = Field(default=2, ge=1)
    """Optimizer steps per rollout."""
    lr: float = Field(default=1.5e-4, gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(default=5, ge=0)
    """Optimizer steps over which the rate rises linearly from 0."""
    save_every: int = Field(default=10, ge=1)
    """Rollouts between checkpoints; the last one is always saved."""
    advantage: Advantage = Advantage.GRPO
    """How rewards of a group become advantages."""
    aggregation: Aggregation = Aggregation.TOKEN_MEAN
    """How token losses become one loss."""
    clip_low: float = Field(default=0.2, ge=0, lt=1)
    """The probability ratio is clipped below at 1 - clip_low."""
    clip_high: float = Field(default=0.28, ge=0)
    """The probability ratio is clipped above at 1 + clip_high (clip-higher, DAPO)."""
    dual_clip: float | None = Field(default=None, gt=1)
    """Bound -c*A of the loss where the advantage is negative; none means no bound."""
    kl: Kl = Kl.K3
    """Estimator of the divergence from the starting policy."""
    kl_coefficient: float = Field(default=0.0, ge=0)
    """Weight of the KL term in the loss; 0 keeps no reference model in memory."""
    importance_cap: float | None = Field(default=None, gt=0)
    """Truncated importance sampling: weight tokens by min(p_trainer / p_engine, cap); none means off."""
    mismatch_tolerance: float = Field(default=1e-4, gt=0)
    """Largest |logp_trainer - logp_engine| of a token on the first step; more stops the run."""
    sampling_rounds: int = Field(default=1, ge=1)
    """Most draws for one step: more than 1 replaces the groups that `rollout.filter_function` drops."""
    overlong_buffer: int = Field(default=0, ge=0)
    """Last tokens before the limit in which a response is penalised linearly (DAPO); 0 is off."""
    overlong_factor: float = Field(default=1.0, ge=0)
    """Penalty at the limit when `overlong_buffer` is on."""
    shuffle_rewards: bool = False
    """Control experiment: permute rewards over the whole batch, so that nothing can be learnt."""

    asynchronous: bool = False
    """Generate and judge the rollouts to come while training on this one; needs `importance_cap`."""
    max_staleness: int = Field(default=1, ge=1)
    """Most updates by which the weights that wrote a response may be behind those trained on it: how many
    rollouts an asynchronous run is ahead, and how long a partial rollout is kept."""
    over_sampling_batch_size: int | None = Field(default=None, ge=1)
    """Prompts drawn in a round: the first `prompts_per_step` groups that pass the filter are trained on, the
    rest is given up. None draws as many as are missing."""
    partial_rollout: bool = False
    """Go on with interrupted responses under the next weights instead of giving them up; needs
    `importance_cap`. What an SGLang engine has written when it is interrupted depends on time, so such a run
    is not repeated bit for bit."""

    eval_interval: int | None = Field(default=None, ge=1)
    """Steps between evaluations on the validation prompts; the last step is evaluated too. None is never."""
    eval_samples_per_prompt: int = Field(default=1, ge=1)
    """Responses per validation prompt."""
    eval_temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of evaluations; none means that of the rollouts."""

    stop_kl_above: float | None = Field(default=None, gt=0)
    """Stop the run when the divergence from the starting policy is above this (keeps a reference model)."""
    stop_entropy_below: float | None = Field(default=None, ge=0)
    """Stop the run when the mean entropy of a token, in nats, is below this: the policy has collapsed."""
    stop_entropy_above: float | None = Field(default=None, gt=0)
    """Stop the run when the mean entropy of a token, in nats, is above this: the policy babbles."""
    stop_reward_below: float | None = None
    """Stop the run when the mean reward is below this."""
    stop_patience: int = Field(default=3, ge=1)
    """Steps in a row that must be out of bounds before the run is stopped."""

    @property
    def lag(self) -> int:
        """Rollouts that are generated ahead of training; 0 in synchronous mode."""
        return self.max_staleness if self.asynchronous else 0

    @property
    def measures_divergence(self) -> bool:
        """Whether the starting policy is kept, to compute the KL term or to watch it."""
        return self.kl_coefficient > 0 or self.stop_kl_above is not None

    @model_validator(mode="after")
    def _rollouts_that_are_off_policy(self) -> GrpoSettings:
        for name in ("asynchronous", "partial_rollout"):
            if getattr(self, name) and self.importance_cap is None:
                raise ValueError(
                    f"{name} trains on responses of older weights, which needs importance_cap; set it "
                    "(2.0 is usual)"
                )
        wanted, drawn = self.prompts_per_step, self.over_sampling_batch_size
        if drawn is not None and drawn < wanted:
            raise ValueError(
                f"over_sampling_batch_size {drawn} is below prompts_per_step {wanted}; raise it, or omit it"
            )
        if self.partial_rollout and not self.asynchronous and drawn is None:
            raise ValueError(
                "partial_rollout without asynchronous or over_sampling_batch_size interrupts nothing; set one"
            )
        return self


class Engine(StrEnum):
    """What generates responses."""

    LOCAL = "local"  #: in the training process, for machines without a GPU
    SGLANG = "sglang"  #: SGLang servers over HTTP


class RolloutSettings(Frozen):
    """How responses are sampled."""

    engine: Engine = Engine.LOCAL
    """What generates responses."""
    temperature: float = Field(default=1.0, ge=0)
    """Sampling temperature; it divides the training logits too. 0 takes the likeliest token."""
    max_new_tokens: int = Field(default=160, ge=1)
    """Longest response in tokens; longer ones are cut and count as truncated."""
    batch_size: int = Field(default=128, ge=1)
    """Sequences that the local engine decodes together."""

    reward_function: str = "kernel"
    """What a response is worth: `kernel` executes it; any other is named as `module:function`."""
    filter_function: str = "all"
    """Which groups are trained on: `all`; `spread` for those whose rewards differ (DAPO's dynamic sampling,
    with `grpo.sampling_rounds` above 1); any other is named as `module:function`."""
    generate_function: str | None = None
    """Writes one response, over several turns with tools, say: `module:function`; none asks the engine."""
    rollout_function: str | None = None
    """Writes and rewards the responses to many prompts: `module:function`; none generates and then judges."""

    engine_urls: tuple[str, ...] = ()
    """SGLang servers that run already (`http://host:port`), which are used and never stopped; none starts
    `num_engines` of our own."""
    num_engines: int = Field(default=1, ge=1)
    """SGLang servers to start, over all nodes."""
    gpus_per_engine: int = Field(default=1, ge=1)
    """GPUs that share the model in one of them (SGLang's tp_size)."""
    colocate: bool = True
    """Whether they take the trainer's GPUs, freeing their memory while it trains, or the GPUs after those."""
    router: bool = False
    """Put the SGLang router in front of several engines; otherwise we give work to the least loaded."""
    weight_sync: WeightSync = WeightSync.AUTO
    """How new weights reach the engines."""
    weight_bucket_mb: int = Field(default=512, ge=1)
    """Size of the pieces in which weights are sent, in MiB."""
    weight_check_interval: int = Field(default=10, ge=0)
    """Updates between proofs, by checksums, that the engines have the trainer's weights. The first update is
    always proven; 0 proves none."""
    weight_folder: Path | None = None
    """Folder for weights that go by disk; every engine must see it. None is in memory, for one machine."""
    server_python: str | None = None
    """Interpreter that SGLang is installed for; none is the trainer's."""
    server_path: tuple[str, ...] = ()
    """Folders that come first on the servers' PYTHONPATH, for an SGLang in a folder of its own. On a CPU,
    none means the stand-ins for GPU packages in infra/sglang-cpu/stubs."""
    server_start_timeout_s: float = Field(default=600.0, gt=0)
    """Longest that a server may take to start, or one given by URL to come back."""
    server_max_restarts: int = Field(default=3, ge=0)
    """How often a server that dies is started again; ten minutes of service count as a new beginning."""
    request_timeout_s: float = Field(default=3600.0, gt=0)
    """Longest that a batch of responses may take before it is asked for again."""

    @property
    def training_temperature(self) -> float:
        """What training logits are divided by (greedy decoding leaves them as they are)."""
        return self.temperature or 1.0


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
