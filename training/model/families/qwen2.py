"""Qwen2, which includes Qwen2.5 (2412.15115): q, k and v have a bias."""

from training.model.families.base import PLAIN, Family, layer_weights

QWEN2 = Family(
    name="Qwen2.5",
    model_type="qwen2",
    model_class="Qwen2ForCausalLM",
    layer=layer_weights(qkv_bias=True),
    qkv_bias=True,
    implied_head_dim=True,
    supported=PLAIN,
)
