"""Adapters as PEFT has them: `adapter_config.json` and `adapter_model.safetensors`.

    PeftModel.from_pretrained(base, folder)

loads them over the model that training began with.
"""

from __future__ import annotations

import json
from pathlib import Path

from megatron.core.models.gpt import GPTModel
from safetensors.torch import save_file

from training.checkpoint.gather import peft_weights
from training.launch.processes import is_main
from training.settings.architecture import Architecture
from training.settings.jobs import GrpoJob, MegatronSettings, SftJob

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"


def write_peft(model: GPTModel, architecture: Architecture, job: SftJob | GrpoJob, folder: Path) -> None:
    """Write a model's adapters into the new folder `folder`, whole, from the main rank; collective."""
    # A copy of each: what is gathered may be the model's own.
    tensors = {
        name: value.cpu().clone() if is_main() else value for name, value in peft_weights(model, architecture)
    }
    if not is_main():
        return
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config = _config(job.settings.megatron, str(job.checkpoint))
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")


def _config(settings: MegatronSettings, base: str) -> dict[str, object]:
    """What PEFT wants to know of the adapters, `base` being the checkpoint that they belong to (torch_dist,
    which PEFT cannot load itself)."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": settings.lora_rank,
        "lora_alpha": settings.lora_alpha,
        "lora_dropout": 0.0,
        "target_modules": list(settings.lora_target),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
