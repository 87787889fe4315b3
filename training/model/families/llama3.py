"""Llama 3 (2407.21783): plain layers; from 3.1 on the rotary frequencies are stretched (`rope`)."""

from training.model.families.base import PLAIN, Family, layer_weights

LLAMA3 = Family(
    name="Llama 3",
    model_type="llama",
    model_class="LlamaForCausalLM",
    layer=layer_weights(),
    implied_head_dim=True,
    supported=PLAIN,
)
