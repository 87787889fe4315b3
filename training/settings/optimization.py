"""The sections `sft:` and `grpo:` of a profile: optimizer, schedule, objective, checkpoints.

The defaults are usual for a language model of some billion parameters. Nothing here imports torch or
Megatron.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from evaluation.marks import Machine, Result
from evaluation.problem import Frozen, Split


class LrDecayStyle(StrEnum):
    """How the learning rate falls at the end."""

    LINEAR = "linear"  #: by a line
    COSINE = "cosine"  #: by half a cosine


class OptimizationSettings(Frozen):
    """What SFT and GRPO have in common: AdamW, its schedule, checkpoints and the seed."""

    steps: Result[int] = Field(ge=0)
    """Steps of the stage (batches for SFT, rollouts for GRPO)."""
    lr: Result[float] = Field(gt=0)
    """Peak learning rate."""
    warmup_steps: Result[int] = Field(default=0, ge=0)
    """Optimizer steps over which the rate rises linearly from 0."""
    decay_fraction: Result[float] = Field(default=0.0, ge=0, le=1)
    """Share of the optimizer steps, at the end and after warm-up, over which the rate falls to `min_lr`."""
    lr_decay_style: Result[LrDecayStyle] = LrDecayStyle.LINEAR
    """How it falls; cosine with a `decay_fraction` of 1 is the usual cosine schedule."""
    min_lr: Result[float] = Field(default=0.0, ge=0)
    """Learning rate after the decay."""
    weight_decay: Result[float] = Field(default=0.1, ge=0)
    """Decoupled weight decay (AdamW); not applied to norms."""
    adam_beta1: Result[float] = Field(default=0.9, ge=0, lt=1)
    """Decay of the mean of gradients."""
    adam_beta2: Result[float] = Field(default=0.95, ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    adam_eps: Result[float] = Field(default=1e-8, gt=0)
    """Added to the denominator of Adam."""
    clip_grad: Result[float] = Field(default=1.0, ge=0)
    """Largest global gradient norm; 0 does not clip."""
    micro_batch_size: Machine[int] = Field(default=1, ge=1)
    """Sequences in one forward and backward pass: changes speed and memory, and the result only by rounding.
    On a CPU 8 to 16 short sequences stay in its caches and are a fifth faster than 64."""
    save_every: Machine[int] = Field(default=50, ge=1)
    """Steps between checkpoints; the last step is always saved."""
    keep_checkpoints: Machine[int] = Field(default=2, ge=1)
    """Complete checkpoints that are kept; older ones are deleted."""
    seed: Result[int] = Field(default=0, ge=0, lt=2**32)
    """Seed of the order of the data and of sampling."""

    @property
    def may_grow(self) -> bool:
        """Whether the steps so far are the same for a larger number of `steps`."""
        return self.decay_fraction == 0 and self.warmup_steps <= self.steps

    @model_validator(mode="after")
    def _rates(self) -> OptimizationSettings:
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr {self.min_lr:g} is above lr {self.lr:g}; lower it, or raise lr")
        return self


class SftSettings(OptimizationSettings):
    """Supervised fine-tuning on verified kernels: next-token loss on the assistant's tokens only."""

    steps: Result[int] = Field(default=100, ge=0)
    """Batches to train on, unless `epochs` is given."""
    epochs: Result[int | None] = Field(default=None, ge=1)
    """Passes over the conversations, from which `steps` follows; the last batch may begin another pass."""
    batch_size: Result[int] = Field(default=128, ge=1)
    """Conversations in one optimizer step, over all data-parallel ranks."""
    lr: Result[float] = Field(default=1e-5, gt=0)
    """Peak learning rate."""
    warmup_steps: Result[int] = Field(default=10, ge=0)
    """Steps over which the rate rises linearly from 0, unless `warmup_fraction` is given."""
    warmup_fraction: Result[float | None] = Field(default=None, ge=0, le=1)
    """Share of the steps over which it does."""
    decay_fraction: Result[float] = Field(default=1.0, ge=0, le=1)
    """Share of the steps, at the end and after the warm-up, over which the rate falls to `min_lr`."""
    max_length: Result[int] = Field(default=4096, ge=2)
    """Longest conversation in tokens; longer ones are left out and counted."""

    def counted(self, conversations: int) -> SftSettings:
        """The same with `steps` and `warmup_steps` in numbers, for so many conversations."""
        steps = self.steps if self.epochs is None else -(-self.epochs * conversations // self.batch_size)
        fraction = self.warmup_fraction
        warmup = self.warmup_steps if fraction is None else round(fraction * steps)
        return self.model_copy(update={"steps": steps, "warmup_steps": warmup})


class Advantage(StrEnum):
    """How rewards of a group become advantages."""

    GRPO = "grpo"  #: (r - mean) / (std + 1e-6), DeepSeekMath 2402.03300
    DR_GRPO = "dr_grpo"  #: r - mean, Dr.GRPO 2503.20783
    RLOO = "rloo"  #: (r - mean) * n / (n - 1), the leave-one-out baseline


class PolicyLoss(StrEnum):
    """What a token's loss is, given its advantage A and ratio rho = p / p_old."""

    PPO = "ppo"  #: max(-A rho, -A clip(rho)), by token
    GSPO = "gspo"  #: the same with the geometric mean of the sequence's ratios, 2507.18071
    CISPO = "cispo"  #: -A clip(rho) log p, without gradient through the ratio; MiniMax-M1 2506.13585


class Aggregation(StrEnum):
    """How token losses become one loss."""

    TOKEN_MEAN = "token_mean"  #: sum over all tokens / number of tokens, DAPO 2503.14476
    SEQUENCE_MEAN = "sequence_mean"  #: mean over sequences of the mean over tokens
    CONSTANT = "constant"  #: sum over all tokens / (max_new_tokens * sequences), Dr.GRPO 2503.20783


class Kl(StrEnum):
    """Estimators of KL(policy || reference) from d = logp - logp_ref, after Schulman (2020).

    All have the divergence as their mean, k2 nearly so. In the loss their gradients count: that of k1 is 0 in
    the mean and only adds noise; that of k2 is the divergence's own.
    """

    K1 = "k1"  #: d; to watch, not to train on
    K2 = "k2"  #: d^2 / 2
    K3 = "k3"  #: exp(-d) - 1 + d


class GrpoSettings(OptimizationSettings):
    """Group-relative policy optimisation with rewards from really executing the kernels."""

    steps: Result[int] = Field(default=200, ge=0)
    """Rollouts; each is followed by `minibatches` optimizer steps."""
    prompts_per_step: Result[int] = Field(default=32, ge=1)
    """Problems drawn for one rollout."""
    samples_per_prompt: Result[int] = Field(default=8, ge=2)
    """Responses per problem: the group that rewards are compared in; a single one has nothing to be better
    than."""
    minibatches: Result[int] = Field(default=1, ge=1)
    """Optimizer steps per rollout."""
    lr: Result[float] = Field(default=1e-6, gt=0)
    """Peak learning rate."""
    save_every: Machine[int] = Field(default=10, ge=1)
    """Rollouts between checkpoints; the last one is always saved."""
    advantage: Result[Advantage] = Advantage.GRPO
    """How rewards of a group become advantages."""
    aggregation: Result[Aggregation] = Aggregation.TOKEN_MEAN
    """How token losses become one loss."""
    policy_loss: Result[PolicyLoss] = PolicyLoss.PPO
    """What is clipped, and how. GSPO's paper has `aggregation: sequence_mean` and far smaller bounds (3e-4
    and 4e-4), CISPO's token_mean and no lower bound (`clip_low: 1`)."""
    clip_low: Result[float] = Field(default=0.2, ge=0, le=1)
    """The probability ratio is clipped below at 1 - clip_low."""
    clip_high: Result[float] = Field(default=0.28, ge=0)
    """The probability ratio is clipped above at 1 + clip_high (clip-higher, DAPO)."""
    dual_clip: Result[float | None] = Field(default=None, gt=1)
    """Bound -c*A of the loss where the advantage is negative; none means no bound."""
    kl: Result[Kl] = Kl.K3
    """Estimator of the divergence from the starting policy; k1 in the loss holds nothing back."""
    kl_coefficient: Result[float] = Field(default=0.0, ge=0)
    """Weight of the KL term in the loss; 0 keeps no reference model in memory."""
    importance_cap: Result[float | None] = Field(default=None, gt=0)
    """Truncated importance sampling: weight tokens by min(p_trainer / p_engine, cap); none means off."""
    token_rejection: Result[tuple[float, float] | None] = None
    """Tokens whose p_trainer / p_engine is outside these two bounds leave the loss; IcePop is that with
    0.5 and 5 and an `importance_cap` of 5 (without one the others are not weighted). None rejects none."""
    sequence_rejection: Result[tuple[float, float] | None] = None
    """Sequences of whose tokens' p_trainer / p_engine the geometric mean is outside these two bounds leave
    the loss. What is rejected still counts in what the loss is divided by."""
    mismatch_tolerance: Machine[float] = Field(default=0.05, gt=0)
    """Largest mean |logp_trainer - logp_engine| of the first step's tokens, and a tenth of the largest 99.9 %
    quantile; more stops the run. 0.05 is usual in bfloat16; in float32 1e-5 is enough."""
    sampling_rounds: Result[int] = Field(default=1, ge=1)
    """Most draws for one step: more than 1 replaces the groups that `rollout.filter_function` drops."""
    overlong_buffer: Result[int] = Field(default=0, ge=0)
    """Last tokens before the limit in which a response is penalised linearly (DAPO); 0 is off."""
    overlong_factor: Result[float] = Field(default=1.0, ge=0)
    """Penalty at the limit when `overlong_buffer` is on."""
    overlong_filter: Result[bool] = False
    """Leave truncated responses out of the loss and of what it is divided by (DAPO's overlong filtering);
    their rewards still count in their group's mean."""
    shuffle_rewards: Result[bool] = False
    """Control experiment: permute rewards over the whole batch, so that nothing can be learnt."""

    asynchronous: Result[bool] = False
    """Generate and judge the rollouts to come while training on this one; needs `importance_cap`."""
    max_staleness: Result[int] = Field(default=1, ge=1)
    """Most updates by which the weights that wrote a response may be behind those trained on it: how many
    rollouts an asynchronous run is ahead, and how long a partial rollout is kept."""
    over_sampling_batch_size: Result[int | None] = Field(default=None, ge=1)
    """Prompts drawn in a round: the first `prompts_per_step` groups that pass the filter are trained on, the
    rest is given up. None draws as many as are missing."""
    partial_rollout: Result[bool] = False
    """Go on with interrupted responses under the next weights instead of giving them up; needs
    `importance_cap`. What an SGLang engine has written when it is interrupted depends on time, so such a run
    is not repeated bit for bit."""

    eval_interval: Result[int | None] = Field(default=None, ge=1)
    """Steps between evaluations on the validation prompts; the last step is evaluated too. None is never."""
    eval_samples_per_prompt: Result[int] = Field(default=1, ge=1)
    """Responses per validation prompt."""
    eval_split: Result[Split] = Split.VALIDATION
    """The night's prompts that are evaluated on; `heldout` are the report's own, to follow a published set
    (AIME) while training: choose nothing by it then."""
    eval_max_new_tokens: Result[int | None] = Field(default=None, ge=1)
    """Longest response of evaluations in tokens; none means that of the rollouts."""
    eval_temperature: Result[float | None] = Field(default=None, ge=0)
    """Sampling temperature of evaluations; none means that of the rollouts."""

    stop_kl_above: Machine[float | None] = Field(default=None, gt=0)
    """Stop the run when the divergence from the starting policy is above this (keeps a reference model)."""
    stop_entropy_below: Machine[float | None] = Field(default=None, ge=0)
    """Stop the run when the mean entropy of a token, in nats, is below this: the policy has collapsed."""
    stop_entropy_above: Machine[float | None] = Field(default=None, gt=0)
    """Stop the run when the mean entropy of a token, in nats, is above this: the policy babbles."""
    stop_reward_below: Machine[float | None] = None
    """Stop the run when the mean reward is below this."""
    stop_patience: Machine[int] = Field(default=3, ge=1)
    """Steps in a row that must be out of bounds before the run is stopped."""

    @property
    def lag(self) -> int:
        """Rollouts that are generated ahead of training; 0 in synchronous mode."""
        return self.max_staleness if self.asynchronous else 0

    @property
    def measures_divergence(self) -> bool:
        """Whether the starting policy is kept, to compute the KL term or to watch it."""
        return self.kl_coefficient > 0 or self.stop_kl_above is not None

    @property
    def needs_whole_sequences(self) -> bool:
        """Whether the loss of a token depends on all tokens of its sequence."""
        return self.policy_loss is PolicyLoss.GSPO or self.sequence_rejection is not None

    @property
    def needs_rollout_logprobs(self) -> bool:
        """Whether the loss depends on what the engine says of its tokens."""
        return self.importance_cap is not None or self.token_rejection is not None

    @model_validator(mode="after")
    def _loss(self) -> GrpoSettings:
        for name in ("token_rejection", "sequence_rejection"):
            band = getattr(self, name)
            if band is not None and not 0 <= band[0] <= 1 <= band[1]:
                raise ValueError(
                    f"{name} {band[0]:g} to {band[1]:g} leaves no room for a ratio of 1, that of equal "
                    "policies; give a lower bound from 0 to 1 and an upper one from 1 on"
                )
        if self.policy_loss is PolicyLoss.CISPO and self.dual_clip is not None:
            raise ValueError(
                "dual_clip bounds what policy_loss cispo has bounded already; leave it out, or use ppo or "
                "gspo"
            )
        return self

    @model_validator(mode="after")
    def _bounds(self) -> GrpoSettings:
        least, most = self.stop_entropy_below, self.stop_entropy_above
        if least is not None and most is not None and least >= most:
            raise ValueError(
                f"stop_entropy_below {least:g} is not below stop_entropy_above {most:g}, so every entropy is "
                "out of bounds; move one of them"
            )
        return self

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
        if self.max_staleness > 1 and not (self.asynchronous or self.partial_rollout):
            raise ValueError(
                f"max_staleness {self.max_staleness} bounds nothing without asynchronous or partial_rollout; "
                "set one, or leave it out"
            )
        return self
