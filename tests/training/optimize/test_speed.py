"""The FLOPs that a step needs, against PyTorch's own count of transformers' model."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from tests.training.tiny import FAMILIES, family
from training.optimize.speed import peak_rate, speed_metrics, training_flops
from training.settings.architecture import read_architecture
from training.settings.jobs import LORA_LAYERS, MegatronSettings
from training.settings.sizes import attended_width

ROWS, LENGTH = 3, 64


def counted(model) -> float:
    """What a forward and backward pass over ROWS sequences of LENGTH tokens computes."""
    tokens = torch.randint(90, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        model(tokens).logits.sum().backward()
    return float(counter.get_total_flops())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("rank", [0, 4])
def test_the_formula_is_what_is_computed(tmp_path, name, rank):
    model = family(name, attn_implementation="eager").train()
    model.save_pretrained(tmp_path)
    architecture = read_architecture(tmp_path)
    if rank:
        model = get_peft_model(model, LoraConfig(r=rank, target_modules=list(LORA_LAYERS)))
        model.enable_input_require_grads()
    ours = training_flops(architecture, MegatronSettings(lora_rank=rank), [LENGTH] * ROWS)
    # Eager attention computes the half, too, that the mask takes away.
    masked = 6 * ROWS * LENGTH**2 * attended_width(architecture)
    assert ours + masked == pytest.approx(counted(model), rel=0.01)


def test_mfu_is_the_share_of_the_measured_peak(single_process):
    peak = peak_rate(torch.float32)
    assert peak > 1e8
    logged = speed_metrics(peak, 2.0, peak)
    assert logged["perf/mfu"] == pytest.approx(0.5)
    assert 0.01 < logged["perf/memory_peak_gib"] < 1000
