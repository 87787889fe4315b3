"""Flags under which slime's and Megatron's users know our settings, where those have other names here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: The one flag whose value is computed from other settings.
GLOBAL_BATCH_SIZE = "global-batch-size"


@dataclass(frozen=True)
class Alias:
    """A second flag for some settings."""

    name: str
    """The flag, without its dashes."""
    targets: tuple[str, ...]
    """The settings that it may set, as `section.name`: to its value, if that has no other meaning."""
    meanings: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    """What a value of the flag sets. True and False make it a switch."""
    help: str = ""
    """What is to be said of it besides the settings' own docstrings."""

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value."""
        return True in self.meanings


def _lr_decay_style() -> Alias:
    """Megatron's schedules fall over all steps; those here over a share of them, so none is constant."""
    stages = ("sft", "grpo")
    meanings: dict[str, dict[str, Any]] = {"constant": {f"{stage}.decay_fraction": 0.0 for stage in stages}}
    for style in ("linear", "cosine"):
        meanings[style] = {f"{stage}.lr_decay_style": style for stage in stages}
        meanings[style] |= {f"{stage}.decay_fraction": 1.0 for stage in stages}
    targets = tuple(f"{stage}.{name}" for name in ("lr_decay_style", "decay_fraction") for stage in stages)
    return Alias("lr-decay-style", targets, meanings, "It may be constant, or fall over all steps.")


def _advantage_estimator() -> Alias:
    """slime's choice of GSPO and CISPO is one of the loss, on GRPO's advantages."""
    losses = {"gspo": ("grpo", "gspo"), "cispo": ("grpo", "cispo")}
    losses |= {kind: (kind, "ppo") for kind in ("grpo", "dr_grpo", "rloo")}
    meanings = {
        name: {"grpo.advantage": advantage, "grpo.policy_loss": loss}
        for name, (advantage, loss) in losses.items()
    }
    return Alias("advantage-estimator", ("grpo.advantage", "grpo.policy_loss"), meanings)


def _both_stages(name: str, setting: str = "") -> Alias:
    """Optimizer flags mean SFT and GRPO alike."""
    setting = setting or name.replace("-", "_")
    return Alias(name, (f"sft.{setting}", f"grpo.{setting}"))


#: Fields of Megatron's OptimizerConfig that SFT and GRPO have each for themselves, and their like.
OPTIMIZER = tuple(
    _both_stages(name)
    for name in ("lr", "min-lr", "weight-decay", "adam-beta1", "adam-beta2", "adam-eps", "clip-grad")
)

ALIASES = (
    *OPTIMIZER,
    _both_stages("micro-batch-size"),
    _both_stages("seed"),
    _lr_decay_style(),
    _both_stages("lr-warmup-iters", "warmup_steps"),
    _both_stages("save-interval", "save_every"),
    Alias("hf-checkpoint", ("model.hf_checkpoint",)),
    Alias("actor-num-gpus-per-node", ("megatron.nproc_per_node",)),
    Alias("accumulate-allreduce-grads-in-fp32", ("megatron.grad_reduce_in_fp32",)),
    Alias("swiglu", ("megatron.gated_linear_unit",)),
    Alias("norm-epsilon", ("megatron.layernorm_epsilon",)),
    Alias(
        "disable-bias-linear",
        ("megatron.add_bias_linear",),
        {True: {"megatron.add_bias_linear": False}, False: {"megatron.add_bias_linear": True}},
    ),
    Alias("num-rollout", ("grpo.steps",)),
    Alias("rollout-batch-size", ("grpo.prompts_per_step",)),
    Alias("n-samples-per-prompt", ("grpo.samples_per_prompt",)),
    Alias("num-steps-per-rollout", ("grpo.minibatches",)),
    Alias(
        GLOBAL_BATCH_SIZE,
        ("sft.batch_size", "grpo.minibatches"),
        help="Responses in one optimizer step: GRPO takes prompts x samples / this many steps per rollout.",
    ),
    Alias("over-sampling-batch-size", ("grpo.over_sampling_batch_size",)),
    Alias("partial-rollout", ("grpo.partial_rollout",)),
    Alias("eval-interval", ("grpo.eval_interval",)),
    Alias("eval-temperature", ("grpo.eval_temperature",)),
    Alias("rollout-seed", ("grpo.seed",)),
    Alias("n-samples-per-eval-prompt", ("grpo.eval_samples_per_prompt",)),
    _advantage_estimator(),
    Alias("eps-clip", ("grpo.clip_low", "grpo.clip_high")),
    Alias("eps-clip-high", ("grpo.clip_high",)),
    Alias("eps-clip-c", ("grpo.dual_clip",)),
    Alias("kl-loss-coef", ("grpo.kl_coefficient",)),
    Alias("kl-loss-type", ("grpo.kl",), {"low_var_kl": {"grpo.kl": "k3"}}),
    Alias(
        "use-kl-loss",
        ("grpo.kl_coefficient",),
        {True: {}, False: {"grpo.kl_coefficient": 0.0}},
        help="The KL term is on where its coefficient is above 0; the negative sets that to 0.",
    ),
    Alias(
        "calculate-per-token-loss",
        ("grpo.aggregation",),
        {True: {"grpo.aggregation": "token_mean"}, False: {"grpo.aggregation": "sequence_mean"}},
        help="All tokens count alike; the negative, slime's default, has all responses count alike.",
    ),
    Alias("tis-clip", ("grpo.importance_cap",)),
    Alias(
        "use-tis",
        ("grpo.importance_cap",),
        {True: {"grpo.importance_cap": 2.0}, False: {"grpo.importance_cap": None}},
        help="Truncated importance sampling with slime's cap of 2.0, or that of --tis-clip.",
    ),
    Alias("rollout-max-response-len", ("rollout.max_new_tokens",)),
    Alias("eval-max-response-len", ("grpo.eval_max_new_tokens",)),
    Alias("apply-chat-template-kwargs", ("model.chat_template_kwargs",)),
    Alias("custom-rm-path", ("rollout.reward_function",)),
    Alias("rollout-function-path", ("rollout.rollout_function",)),
    Alias("custom-generate-function-path", ("rollout.generate_function",)),
    Alias("dynamic-sampling-filter-path", ("rollout.filter_function",)),
    Alias("rollout-num-gpus-per-engine", ("rollout.gpus_per_engine",)),
    Alias("colocate", ("rollout.colocate",)),
)

#: Flags of slime and Megatron for what is given, or done, in another way here.
HINTS: Mapping[str, str] = {
    "load": "`python -m training` begins with `--checkpoint`; a night with its own",
    "ref-load": "the policy is compared with the checkpoint that training begins with; leave it out",
    "save": "`python -m training` writes to `--out-dir`; a night to artifacts/",
    "prompt-data": "`python -m training grpo` reads `--prompts`; a night makes its own",
    "eval-prompt-data": "`python -m training grpo` reads `--validation`; a night makes its own",
    "balance-data": "work is always balanced over the data-parallel ranks, by cost with "
    "`--use-dynamic-batch-size`; leave it out",
    "actor-num-nodes": "`python -m training` runs on every node, with `--nnodes`; a night has launcher.nodes",
    "num-epoch": "`--sft-epochs` for SFT; GRPO is counted in steps, `--num-rollout`",
    "tis-clip-low": "`--grpo-token-rejection LOW HIGH` leaves out what it would raise",
    "custom-tis-function-path": "IcePop is `--grpo-token-rejection 0.5 5 --tis-clip 5`, and whole sequences "
    "are rejected by `--grpo-sequence-rejection LOW HIGH`",
    "rm-type": "`--rollout-reward-function` names the reward: kernel, math, mixed, or `module:function`",
    "entropy-coef": "the loss has no entropy term; `--grpo-stop-entropy-below` watches the entropy",
    "eval-top-p": "evaluations sample with `--rollout-top-p`",
    "eval-top-k": "evaluations sample with `--rollout-top-k`",
}

#: Settings whose flag by the rule, `--<section>-<name>`, is taken by an alias above.
RENAMED = {"rollout.batch_size": "rollout-decode-batch-size"}
