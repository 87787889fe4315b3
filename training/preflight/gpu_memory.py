"""What a run needs of each GPU that trains, by arithmetic, before anything starts.

A GPU holds the trainer's weights, gradients and optimizer states all the time. While it trains, activations
come on top; while a server on the same GPU generates, the server's share does. Shapes give the tensors;
what contexts, libraries and CUDA graphs take is known from experience, and rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from evaluation.backends.cuda.visible_gpus import visible_gpus
from evaluation.errors import WarpsmithError
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.machine import Clocks
from training.preflight.machine import judging_gpus
from training.settings.architecture import Architecture
from training.settings.jobs import MegatronSettings, TrainingSettings
from training.settings.rollout import KERNEL, Engine
from training.settings.sglang import Device
from training.settings.sizes import adapter_weights

_GIB = 2**30
_TRAINER_CONTEXT = 1.5
"""GiB of CUDA's context, NCCL and cuBLAS in a process that trains."""
_JUDGE = 1.0
"""GiB of one judge: a context at work and one that stands by."""
_TIMER = 2.0
"""GiB of the contexts that time, torch in two of them."""
_SERVER_CONTEXT, _SERVER_ASLEEP = 2.0, 1.0
"""GiB of a server besides its share, at work and with its memory lent."""
_FRACTION = 0.88
"""What SGLang takes where no profile says mem_fraction_static, about."""


@dataclass(frozen=True)
class GpuMemory:
    """GiB on one GPU that trains, by what they are for."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    contexts: float
    """Of the trainer and of those who judge and time here."""
    share: float
    """A server's weights and KV cache; 0 where none shares the GPU."""

    @property
    def training(self) -> float:
        """At most while training."""
        return self._always + self.activations + (_SERVER_ASLEEP if self.share else 0.0)

    @property
    def generating(self) -> float:
        """At most while a server on this GPU generates."""
        return self._always + (self.share + _SERVER_CONTEXT if self.share else 0.0)

    @property
    def _always(self) -> float:
        return self.weights + self.gradients + self.optimizer + self.contexts

    def __str__(self) -> str:
        shared = f", {self.generating:.1f} with a server's share of {self.share:.1f}" if self.share else ""
        return (
            f"weights {self.weights:.1f}, gradients {self.gradients:.1f}, optimizer {self.optimizer:.1f}, "
            f"contexts {self.contexts:.1f}, activations {self.activations:.1f}: {self.training:.1f} GiB"
            f"{shared}"
        )


def check_memory(
    settings: TrainingSettings,
    architecture: Architecture,
    evaluation: EvaluationSettings | None,
    nodes: int = 1,
) -> str | None:
    """What GRPO needs of each GPU of `nodes` machines like this one, and how much that has, in words; without
    `evaluation`, what SFT needs.

    None where there is no GPU, or where it cannot be asked.

    Raises:
        WarpsmithError: it cannot fit.
    """
    if visible_gpus() is None:
        return None
    clocks = Clocks()
    total = clocks.memory_bytes()
    clocks.close()
    if total is None:
        return None
    needed = gpu_memory(settings, architecture, evaluation, total / _GIB, nodes)
    name = "sft" if evaluation is None else "grpo"
    if max(needed.training, needed.generating) > total / _GIB:
        raise WarpsmithError(
            f"{name} does not fit a GPU of {total / _GIB:.1f} GiB ({needed}); {_remedy(needed, total / _GIB)}"
        )
    return f"{name} needs of a GPU with {total / _GIB:.1f} GiB: {needed}"


def gpu_memory(
    settings: TrainingSettings,
    architecture: Architecture,
    evaluation: EvaluationSettings | None,
    total: float,
    nodes: int = 1,
) -> GpuMemory:
    """The arithmetic, for GPUs of `total` GiB; the arguments as in `check_memory`.

    Raises:
        WarpsmithError: a server's share does not even hold its weights and one sequence.
    """
    megatron, held = settings.megatron, 2 if settings.megatron.bf16 else 4
    ranks = megatron.tensor_model_parallel_size * megatron.pipeline_model_parallel_size
    shards = nodes * megatron.nproc_per_node // ranks if megatron.use_distributed_optimizer else 1
    parameters = _parameters(architecture, megatron) / _GIB
    trained = adapter_weights(architecture, megatron) / _GIB if megatron.lora_rank else parameters
    refers = evaluation is not None and settings.grpo.measures_divergence and not megatron.lora_rank
    weights, gradients = held * (2 if refers else 1) * parameters, 4 * trained
    master = 4 * trained / shards if megatron.bf16 else 0.0
    before = _TRAINER_CONTEXT + weights + gradients + master  # Adam's moments come with the first step
    return GpuMemory(
        weights=weights,
        gradients=gradients,
        optimizer=master + 8 * trained / shards,
        activations=held * _activations(settings, architecture, evaluation is not None) / _GIB,
        contexts=_TRAINER_CONTEXT + (_judges(settings, evaluation) if evaluation else 0.0),
        share=_share(settings, architecture, total - before) if evaluation else 0.0,
    )


def _parameters(architecture: Architecture, megatron: MegatronSettings) -> float:
    """Parameters of the largest rank."""
    shapes = architecture.weight_shapes()
    layers = sum(prod(shape) for name, shape in shapes.items() if ".layers." in name)
    stages = megatron.pipeline_model_parallel_size
    mine = layers * ceil(architecture.num_layers / stages) / architecture.num_layers
    vocabularies = 1 if architecture.tied or stages > 1 else 2
    ends = vocabularies * architecture.vocab_size * architecture.hidden_size
    return (mine + ends) / megatron.tensor_model_parallel_size


def _activations(settings: TrainingSettings, architecture: Architecture, grpo: bool) -> float:
    """Numbers that a micro-batch keeps at most: its layers', and logits or those of a layer at work."""
    megatron, model = settings.megatron, architecture
    split, extra = megatron.tensor_model_parallel_size, megatron.extra
    longest = _longest(settings, architecture) if grpo else settings.sft.max_length
    stage = settings.grpo if grpo else settings.sft
    padded = stage.micro_batch_size * longest
    tokens = max(megatron.max_tokens_per_gpu, longest) if megatron.use_dynamic_batch_size else padded
    residual = model.hidden_size / (split if megatron.sequence_parallel else 1)
    heads = (model.num_heads + 2 * model.num_kv_heads) * model.head_dim
    attention = 4 * residual + (3 * heads + model.num_heads * model.head_dim) / split
    layer = attention + 4 * model.ffn_hidden_size / split
    kept = layer
    if extra.get("recompute_granularity") == "full":
        kept = residual
    elif "mlp" in (extra.get("recompute_modules") or ()):
        kept = attention
    logits = min(tokens * model.vocab_size / split, megatron.max_logits)
    return tokens * kept * model.num_layers + 2 * max(logits, tokens * layer)  # with their gradients


def _longest(settings: TrainingSettings, architecture: Architecture) -> int:
    """Tokens of the longest sequence: a response, and a prompt that is no longer, if the context has room."""
    context = int(settings.sglang.extra.get("context_length") or architecture.max_positions)
    return min(context, 2 * settings.rollout.max_new_tokens)


def _judges(settings: TrainingSettings, evaluation: EvaluationSettings) -> float:
    """GiB of the processes that judge on the first GPU."""
    if evaluation.backend is not BackendName.CUDA or settings.rollout.reward_function != KERNEL:
        return 0.0
    devices = judging_gpus(settings, evaluation)
    return ceil(evaluation.workers / len(devices)) * _JUDGE + _TIMER if 0 in devices else 0.0


def _share(settings: TrainingSettings, architecture: Architecture, free: float) -> float:
    """GiB of a server that shares the trainer's GPU, which has `free` GiB when it starts."""
    rollout = settings.rollout
    ours = rollout.engine is Engine.SGLANG and not rollout.engine_urls and rollout.colocate
    if not ours or settings.sglang.device is not Device.CUDA:
        return 0.0
    fraction = float(settings.sglang.extra.get("mem_fraction_static") or _FRACTION)
    share = fraction * free
    model = architecture
    weights = sum(map(prod, model.weight_shapes().values()))
    sequence = 2 * model.num_layers * model.num_kv_heads * model.head_dim * _longest(settings, model)
    least = 2 * (weights + sequence) / rollout.gpus_per_engine / _GIB  # in bfloat16
    if share < least:
        raise WarpsmithError(
            f"the trainer leaves {free:.1f} GiB of a GPU; sglang.mem_fraction_static {fraction:g} gives a "
            f"server {share:.1f} of them, but its weights and one sequence take {least:.1f}; raise it, "
            "megatron.tensor_model_parallel_size or rollout.gpus_per_engine"
        )
    return share


def _remedy(needed: GpuMemory, total: float) -> str:
    if needed.training <= total:
        return "lower sglang.mem_fraction_static or evaluation.workers, or divide the model over more GPUs"
    return (
        "raise megatron.tensor_model_parallel_size, turn on use_distributed_optimizer or "
        "recompute_granularity, or lower max_tokens_per_gpu"
    )
