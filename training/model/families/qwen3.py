"""Qwen3 (2505.09388): queries and keys are normalised, each head by itself."""

from training.model.families.base import PLAIN, Family, layer_weights

QWEN3 = Family(
    name="Qwen3",
    model_type="qwen3",
    model_class="Qwen3ForCausalLM",
    layer=layer_weights(qk_norm=True),
    qk_norm=True,
    supported=PLAIN,
)
