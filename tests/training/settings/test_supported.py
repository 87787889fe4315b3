"""What Megatron's fields may be here: honoured, as it is anyway, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from training.settings.implied import MODEL_FIELDS
from training.settings.jobs import MegatronSettings
from training.settings.supported import HONOURED, reason_against
from training.settings.upstream import megatron_fields

ROOT = Path(__file__).parents[3]
REFUSED = {
    "calculate_per_token_loss": False,
    "average_in_collective": True,
    "context_parallel_size": 2,
    "expert_model_parallel_size": 2,
    "virtual_pipeline_model_parallel_size": 2,
    "pipeline_model_parallel_layout": "E|tt|L",
    "num_layers_in_first_pipeline_stage": 1,
    "fp8": "e4m3",
    "fp16": True,
    "loss_scale": 2.0,
    "fp32_residual_connection": True,
    "tp_comm_overlap": True,
    "apply_rope_fusion": True,
    "decoupled_lr": 1e-3,
    "optimizer": "banana",
    "overlap_param_gather": True,
    "optimizer_cpu_offload": True,
    "cpu_offloading": True,
    "cuda_graph_impl": "local",
    "heterogeneous_block_specs": True,
    "test_mode": True,
    "attention_backend": "unfused",
    "num_microbatches_with_partial_activation_checkpoints": 1,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_ignored_or_break_training_is_refused(name):
    with pytest.raises(ValidationError, match=rf"`{name}` cannot be .*: .*; leave it out") as caught:
        MegatronSettings(**{name: REFUSED[name]})
    assert reason_against(name) in str(caught.value)


def test_what_is_so_anyway_may_be_said():
    MegatronSettings(
        calculate_per_token_loss=True,
        context_parallel_size=1,
        fp8=None,
        optimizer="adam",
        attention_backend="flash",
        transformer_impl="transformer_engine",
        apply_rope_fusion=False,
        hidden_dropout=0.0,
    )


def test_the_fields_of_our_profiles_are_honoured():
    for path in (ROOT / "infra" / "profiles").glob("*.yaml"):
        given = yaml.safe_load(path.read_text())["megatron"].keys()
        assert given <= HONOURED | MegatronSettings.model_fields.keys(), path


def test_the_table_names_fields_that_exist():
    assert megatron_fields().keys() >= HONOURED
    assert not HONOURED & MODEL_FIELDS.keys()
