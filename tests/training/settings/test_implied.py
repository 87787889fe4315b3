"""Model settings given by hand are checked against config.json (slime's #1059)."""

import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.tiny import FAMILIES, family
from training.model.build import build_model, extra_fields
from training.settings.architecture import read_architecture
from training.settings.implied import MODEL_FIELDS, check_given
from training.settings.jobs import MegatronSettings
from training.settings.upstream import megatron_fields


def given(**fields) -> dict:
    return MegatronSettings(nproc_per_node=1, **fields).model_dump()


def test_qwen3_4bs_arguments_agree_with_its_config(tmp_path):
    """The arguments of slime's scripts/models/qwen3-4B.sh that we know, as YAML reads them."""
    shape = {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
    }
    model = {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True}
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000}}
    type(family("qwen3").config)(**shape, **model, **rope).save_pretrained(tmp_path)
    arguments = {
        "gated_linear_unit": True, "num_layers": 36, "hidden_size": 2560, "ffn_hidden_size": 9728,
        "num_attention_heads": 32, "group_query_attention": True, "num_query_groups": 8,
        "use_rotary_position_embeddings": True, "add_bias_linear": False, "normalization": "RMSNorm",
        "layernorm_epsilon": "1e-6", "rotary_base": 1000000, "vocab_size": 151936, "kv_channels": 128,
        "qk_layernorm": True,
    }  # fmt: skip
    check_given(read_architecture(tmp_path), given(**arguments))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("field", MODEL_FIELDS)
def test_each_field_is_checked(tmp_path, name, field):
    family(name).config.save_pretrained(tmp_path)
    architecture = read_architecture(tmp_path)
    implied = MODEL_FIELDS[field](architecture)
    check_given(architecture, {field: implied})
    other = not implied if isinstance(implied, bool) else "other" if isinstance(implied, str) else 123
    with pytest.raises(WarpsmithError, match=rf"megatron\.{field} is {other!r} but .*config\.json says") as e:
        check_given(architecture, {field: other})
    assert repr(implied) in str(e.value) and "\n" not in str(e.value)


def test_a_contradiction_is_refused_before_a_model_is_built(single_process, hf_dir):
    architecture = read_architecture(hf_dir)
    for fields in ({"qk_layernorm": False}, {"rotary_base": 5e5}):
        with pytest.raises(WarpsmithError, match=next(iter(fields))):
            build_model(architecture, MegatronSettings(nproc_per_node=1, **fields), torch.float32)


def test_every_field_may_be_given():
    assert set(MODEL_FIELDS) <= megatron_fields().keys() | MegatronSettings.model_fields.keys()


def test_a_field_that_agrees_is_not_handed_on():
    from megatron.core.transformer.transformer_config import TransformerConfig

    settings = MegatronSettings(nproc_per_node=1, layernorm_epsilon="1e-6", init_method_std=0.1, fp8=None)
    assert extra_fields(TransformerConfig, settings) == {"init_method_std": 0.1}
