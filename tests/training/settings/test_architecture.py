"""A config.json becomes an architecture, or a sentence that names the field we do not support."""

import json

import pytest
from transformers import AutoConfig

from evaluation.errors import WarpsmithError
from tests.training.night import SHAPE
from tests.training.tiny import FAMILIES, family
from training.model.families.rope import RopeScaling
from training.settings.architecture import planned_architecture, read_architecture
from training.settings.jobs import ModelSettings

LLAMA_SCALING = {
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
#: Shapes of published models and their number of parameters.
PUBLISHED = {
    "Qwen3-0.6B": ("qwen3", 28, 1024, 3072, 16, 8, 128, 151936, True, 596_049_920),
    "Qwen3-4B": ("qwen3", 36, 2560, 9728, 32, 8, 128, 151936, True, 4_022_468_096),
    "Qwen3-32B": ("qwen3", 64, 5120, 25600, 64, 8, 128, 151936, False, 32_762_123_264),
    "Qwen2.5-1.5B": ("qwen2", 28, 1536, 8960, 12, 2, None, 151936, True, 1_543_714_304),
    "Llama-3-8B": ("llama", 32, 4096, 14336, 32, 8, None, 128256, False, 8_030_261_248),
    "Gemma-3-270M": ("gemma3_text", 18, 640, 2048, 4, 1, 256, 262144, True, 268_098_176),
    "Gemma-3-1B": ("gemma3_text", 26, 1152, 6912, 4, 1, 256, 262144, True, 999_885_952),
    "Llama-3.2-1B": ("llama", 16, 2048, 8192, 32, 8, 64, 128256, True, 1_235_814_400),
}


def published(name: str) -> dict:
    """A config.json as transformers 4 wrote it, with fields that change nothing."""
    family, layers, hidden, ffn, heads, kv_heads, head_dim, vocabulary, tied, _ = PUBLISHED[name]
    config = {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-6,
        "rope_theta": 500000.0,
        "rope_scaling": None,
        "hidden_act": "silu",
        "sliding_window": 131072,
        "use_sliding_window": False,
        "max_window_layers": 28,
        "attention_bias": False,
        "mlp_bias": False,
        "pretraining_tp": 1,
        "torch_dtype": "bfloat16",
    }
    return config | ({"head_dim": head_dim} if head_dim else {})


def write(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def read(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_their_number_of_parameters(tmp_path, name):
    architecture = read_architecture(write(tmp_path, published(name)))
    sizes = [shape[0] * (shape[1] if shape[1:] else 1) for shape in architecture.weight_shapes().values()]
    assert sum(sizes) == PUBLISHED[name][-1]
    assert architecture.dtype == "bfloat16"


def test_llama_3_2_scales_its_frequencies(tmp_path):
    config = published("Llama-3.2-1B") | {"rope_scaling": {"rope_type": "llama3", **LLAMA_SCALING}}
    architecture = read_architecture(write(tmp_path, config))
    assert architecture.rope_scaling == RopeScaling(32.0, 1.0, 4.0, 8192)
    assert architecture.rope_theta == 5e5


def test_gemma_3s_layers_see_512_tokens_but_for_every_sixth(tmp_path):
    """The 270M model's config.json as it is published, where it differs from the others'."""
    config = published("Gemma-3-270M") | {
        "sliding_window": 512,
        "rope_theta": 1e6,
        "rope_local_base_freq": 10000.0,
        "_sliding_window_pattern": 6,
        "query_pre_attn_scalar": 256,
    }
    del config["tie_word_embeddings"]
    architecture = read_architecture(write(tmp_path, config))
    assert architecture.windows == (512, 512, 512, 512, 512, None) * 3
    assert (architecture.rope_theta, architecture.sliding.rope_theta) == (1e6, 1e4)
    assert architecture.softmax_scale == 1 / 16
    assert architecture.tied


@pytest.mark.parametrize("name", FAMILIES)
def test_the_config_of_transformers_4_is_read_too(tmp_path, name):
    family(name).config.save_pretrained(tmp_path)
    architecture, config = read_architecture(tmp_path), read(tmp_path)
    rope = config.pop("rope_parameters")
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype", "float32")
    assert read_architecture(write(tmp_path, config)) == architecture


UNSUPPORTED = [
    ("qwen3", {"model_type": "gpt2"}, "model_type 'gpt2'"),
    ("qwen3", {"model_type": "qwen3_moe"}, "model_type 'qwen3_moe'"),
    ("qwen2", {"model_type": "qwen2_moe"}, "model_type 'qwen2_moe'"),
    ("qwen3", {"attention_bias": True}, "attention_bias True"),
    ("llama", {"attention_bias": True}, "attention_bias True"),
    ("llama", {"mlp_bias": True}, "mlp_bias True"),
    ("qwen2", {"use_sliding_window": True}, "use_sliding_window True"),
    ("qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types 'sliding_attention'"),
    ("qwen3", {"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    ("llama", {"attention_dropout": 0.1}, r"attention_dropout 0\.1"),
    ("llama", {"pretraining_tp": 2}, "pretraining_tp 2"),
    ("llama", {"partial_rotary_factor": 0.5}, r"partial_rotary_factor 0\.5"),
    ("qwen3", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type 'yarn'"),
    (
        "qwen2",
        {"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": None},
        "rope_type 'linear'",
    ),
    ("llama", {"rope_scaling": {"rope_type": "dynamic"}, "rope_parameters": None}, "rope_type 'dynamic'"),
    ("qwen3", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_type 'linear'"),
    ("qwen3", {"rope_scaling": {"rope_type": "default", "type": "yarn"}}, "rope_type 'yarn'"),
    (
        "qwen2",
        {"rope_scaling": {"type": "default", "mrope_section": [16, 24, 24]}, "rope_parameters": None},
        r"mrope_section \[16, 24, 24\]",
    ),
    ("qwen2", {"architectures": ["Qwen2ForSequenceClassification"]}, "architectures 'Qwen2ForSeq.*'"),
    ("llama", {"architectures": ["MistralForCausalLM"]}, "architectures 'MistralForCausalLM'"),
    ("gemma3_text", {"model_type": "gemma3"}, "model_type 'gemma3'"),
    ("gemma3_text", {"hidden_activation": "gelu"}, "hidden_activation 'gelu'"),
    ("gemma3_text", {"final_logit_softcapping": 30.0}, r"final_logit_softcapping 30\.0"),
    ("gemma3_text", {"attn_logit_softcapping": 50.0}, r"attn_logit_softcapping 50\.0"),
    ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention True"),
    ("gemma3_text", {"attention_bias": True}, "attention_bias True"),
    ("gemma3_text", {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, "rope_type 'linear'"),
    (
        "gemma3_text",
        {"rope_parameters": {"sliding_attention": {"rope_type": "llama3"}}},
        "rope_type 'llama3'",
    ),
    ("gemma3_text", {"rope_parameters": {"rope_theta": 1e4}}, "rope_parameters 'rope_theta'"),
    ("gemma3_text", {"layer_types": ["chunked_attention"] * 3}, "layer_types 'chunked_attention'"),
    ("qwen3", {"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4}"),
    ("qwen3", {"dtype": "float8_e4m3fn"}, "dtype 'float8_e4m3fn'"),
    ("qwen3", {"dtype": "int8"}, "dtype 'int8'"),
]


@pytest.mark.parametrize(("name", "change", "reason"), UNSUPPORTED)
def test_an_unsupported_field_is_named_with_its_value(tmp_path, name, change, reason):
    family(name).config.save_pretrained(tmp_path)
    write(tmp_path, read(tmp_path) | change)
    with pytest.raises(WarpsmithError, match=rf"config\.json has {reason}, which is not supported"):
        read_architecture(tmp_path)


def test_an_unknown_family_is_told_those_that_are_known(tmp_path):
    write(tmp_path, {"model_type": "mamba"})
    with pytest.raises(WarpsmithError) as error:
        read_architecture(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'config.json'} has model_type 'mamba', which is not supported (only qwen3 or qwen2 or "
        "llama or gemma3_text); use a dense Qwen3, Qwen2.5, Llama 3 or Gemma 3 (text) checkpoint"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sliding_window": None}, "lacks the field sliding_window"),
        ({"sliding_window": 0}, "sliding_window 0"),
        ({"query_pre_attn_scalar": -1}, "query_pre_attn_scalar -1"),
        ({"rope_parameters": {"sliding_attention": {"rope_theta": 0}}}, "rope_theta 0"),
    ],
)
def test_a_field_of_gemmas_that_makes_no_sense_is_named(tmp_path, change, reason):
    family("gemma3_text").config.save_pretrained(tmp_path)
    write(tmp_path, read(tmp_path) | change)
    with pytest.raises(WarpsmithError, match=reason):
        read_architecture(tmp_path)


GARBLED = [None, "not json", "[]", '{"model_type": "qwen3"}', '{"model_type": "llama", "rope_theta": "x"}']


@pytest.mark.parametrize("content", GARBLED)
def test_a_folder_without_a_usable_config_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(WarpsmithError, match=r"config\.json"):
        read_architecture(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"head_dim": None}, "head_dim"),
        ({"num_key_value_heads": 3}, "num_key_value_heads 3, which does not divide"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(tmp_path, change, reason):
    family("qwen3").config.save_pretrained(tmp_path)
    write(tmp_path, {name: value for name, value in (read(tmp_path) | change).items() if value is not None})
    with pytest.raises(WarpsmithError, match=reason):
        read_architecture(tmp_path)


NOT_OF_ITS_TYPE = [
    ({"num_hidden_layers": float("inf")}, "num_hidden_layers inf"),
    ({"num_hidden_layers": 3.7}, r"num_hidden_layers 3\.7"),
    ({"hidden_size": True}, "hidden_size True"),
    ({"vocab_size": "97"}, "vocab_size '97'"),
    ({"num_key_value_heads": 0}, "num_key_value_heads 0"),
    ({"max_position_embeddings": -5}, "max_position_embeddings -5"),
    ({"head_dim": 15}, "head_dim 15, which is odd"),
    ({"rms_norm_eps": float("nan")}, "rms_norm_eps nan"),
    ({"rms_norm_eps": -1}, "rms_norm_eps -1"),
    ({"rope_parameters": {"rope_theta": 0}}, "rope_theta 0"),
    ({"rope_parameters": {"rope_theta": 10**400}}, "rope_theta 10"),
    ({"rope_parameters": 5}, "rope_parameters 5, which is not an object"),
    ({"rope_scaling": "linear"}, "rope_scaling 'linear', which is not an object"),
    ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1, "factor": "8"}}, "factor '8'"),
    ({"tie_word_embeddings": "false"}, "tie_word_embeddings 'false'"),
    ({"layer_types": 5}, "layer_types 5"),
    ({"layer_types": ["full_attention"] * 2}, "layer_types .*, which does not name 3 layers"),
    ({"architectures": "Qwen3ForCausalLM"}, "architectures 'Qwen3ForCausalLM'"),
]


@pytest.mark.parametrize(("change", "reason"), NOT_OF_ITS_TYPE)
def test_a_field_of_another_type_or_size_is_named(tmp_path, change, reason):
    family("qwen3").config.save_pretrained(tmp_path)
    write(tmp_path, read(tmp_path) | change)
    with pytest.raises(WarpsmithError, match=rf"config\.json has {reason}.*correct it"):
        read_architecture(tmp_path)


def test_a_config_nested_too_deeply_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"a":' + "[" * 10**5)
    with pytest.raises(WarpsmithError, match=r"config\.json cannot be read"):
        read_architecture(tmp_path)


def test_two_groups_of_rotary_parameters_must_agree(tmp_path):
    """Transformers reads `rope_scaling` alone, so even a base that differs would be another model."""
    config = family("qwen3").config
    config.save_pretrained(tmp_path)
    rope = read(tmp_path)["rope_parameters"]
    assert read_architecture(write(tmp_path, read(tmp_path) | {"rope_scaling": rope})).rope_theta == 1e4
    write(tmp_path, read(tmp_path) | {"rope_scaling": rope | {"rope_theta": 5e5}})
    assert AutoConfig.from_pretrained(tmp_path).rope_parameters["rope_theta"] == 5e5
    with pytest.raises(WarpsmithError, match=r"rope_scaling .* is not what rope_parameters .* says"):
        read_architecture(tmp_path)


SIZES = [((3, 1), "num_attention_heads 4"), ((4, 1), "num_key_value_heads 2"), ((1, 4), "3 layers")]


@pytest.mark.parametrize(("sizes", "reason"), SIZES)
def test_a_model_that_cannot_be_divided_is_named(hf_dir, sizes, reason):
    with pytest.raises(WarpsmithError, match=reason):
        read_architecture(hf_dir).check_split(*sizes)


def test_the_vocabulary_need_not_divide(tmp_path):
    family("qwen3").config.save_pretrained(tmp_path)
    read_architecture(tmp_path).check_split(2, 1)


def test_the_planned_model_is_that_of_the_settings(tmp_path):
    planned = planned_architecture(
        SHAPE.model_copy(update={"num_attention_heads": 4, "num_key_value_heads": 2})
    )
    assert (planned.hidden_size, planned.num_layers, planned.family.qk_norm) == (32, 2, True)
    with pytest.raises(WarpsmithError, match="num_attention_heads 4 cannot be divided"):
        planned.check_split(3, 1)
    with pytest.raises(WarpsmithError, match="is missing"):
        planned_architecture(ModelSettings(hf_checkpoint=str(tmp_path)))
    with pytest.raises(
        WarpsmithError, match=r"set model\.hf_checkpoint, or for a random one model\.head_dim$"
    ):
        planned_architecture(SHAPE.model_copy(update={"head_dim": None}))
