"""LoRA: equal to PEFT on the CPU, and at every parallel size."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import ValidationError

from tests.training.tiny import FAMILIES, family, load_hf_weights, random_examples
from training.checkpoint.gather import hf_weights, peft_weights
from training.checkpoint.peft import write_peft
from training.model.lora import is_adapter, merge
from training.objective.batch import collate
from training.objective.losses import sft_loss
from training.optimize.trainer import Trainer
from training.settings.architecture import read_architecture
from training.settings.jobs import LORA_LAYERS, MegatronSettings, SftJob, TrainingSettings
from training.settings.optimization import SftSettings

RANK, ALPHA = 4, 12.0
OPTIMIZATION = SftSettings(
    lr=1e-3, warmup_steps=0, decay_fraction=0.0, micro_batch_size=16, clip_grad=0.0, seed=5
)


def settings(**changes) -> MegatronSettings:
    given = {"nproc_per_node": 1, "lora_rank": RANK, "lora_alpha": ALPHA} | changes
    return MegatronSettings(**given)


def build(hf_dir, megatron) -> Trainer:
    """A trainer with a checkpoint's weights, whose B's are not 0."""
    trainer = Trainer(read_architecture(hf_dir), megatron, OPTIMIZATION, 3)
    load_hf_weights(trainer.model, hf_dir)
    draw_b(trainer)
    return trainer


def draw_b(trainer) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if name.endswith("lora_B"):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    trainer.weights_changed()


def as_peft(trainer, hf_dir, name, megatron, tmp_path):
    """The same adapters in PEFT, as it loads what we write, over transformers' model."""
    job = SftJob(
        settings=TrainingSettings(megatron=megatron),
        checkpoint=hf_dir,
        rows=hf_dir,
        out_dir=tmp_path,
    )
    write_peft(trainer.model, trainer.architecture, job, tmp_path / "adapter")
    return PeftModel.from_pretrained(family(name), tmp_path / "adapter", is_trainable=True)


def step(trainer, examples):
    tokens = sum(len(example.response) for example in examples)
    return trainer.step(examples, lambda logprobs, _, t: sft_loss(logprobs, t.mask, normalizer=tokens))


def logprobs(model, examples):
    """What transformers gives the response tokens."""
    batch = collate(examples)
    rows = torch.log_softmax(model(batch.inputs).logits, -1).gather(-1, batch.labels[..., None])[..., 0]
    return [row[mask].tolist() for row, mask in zip(rows, batch.mask, strict=True)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("target", [LORA_LAYERS, ("q_proj", "v_proj", "up_proj"), ("down_proj", "o_proj")])
def test_scores_and_an_adamw_step_are_pefts(single_process, tmp_path, name, target):
    hf_dir, megatron = tmp_path / "hf", settings(lora_target=target)
    family(name).save_pretrained(hf_dir)
    trainer, examples = build(hf_dir, megatron), random_examples(6)
    peft = as_peft(trainer, hf_dir, name, megatron, tmp_path)
    for got, wanted in zip(trainer.logprobs(examples, 1.0), logprobs(peft, examples), strict=True):
        assert got.tolist() == pytest.approx(wanted, abs=1e-5)

    trained = [parameter for parameter in peft.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    batch = collate(examples)
    loss = torch.nn.functional.cross_entropy(peft(batch.inputs).logits[batch.mask], batch.labels[batch.mask])
    loss.backward()
    optimizer.step()
    report = step(trainer, examples)
    assert report["loss"] == pytest.approx(loss.item(), abs=1e-5)
    wanted = {name.replace(".default", ""): value for name, value in peft.named_parameters()}
    found = dict(peft_weights(trainer.model, trainer.architecture))
    assert found.keys() == {name for name in wanted if ".lora_" in name}
    assert len(found) == 2 * len(target) * 3  # layers
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name].data, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_engines_get_is_pefts_merged_model_and_the_base_is_still_there(single_process, tmp_path, name):
    hf_dir, megatron = tmp_path / "hf", settings()
    family(name).save_pretrained(hf_dir)
    trainer, examples = build(hf_dir, megatron), random_examples(3)
    peft = as_peft(trainer, hf_dir, name, megatron, tmp_path)
    before = trainer.logprobs(examples, 1.0)
    merged = peft.merge_and_unload().state_dict()
    for key, value in hf_weights(trainer.model, trainer.architecture):
        torch.testing.assert_close(value, merged[key], atol=1e-6, rtol=1e-5, msg=key)
    base = family(name)
    for got, wanted in zip(trainer.base_logprobs(examples, 1.0), logprobs(base, examples), strict=True):
        assert got.tolist() == pytest.approx(wanted, abs=1e-5)
    merge(trainer.model)
    for same in (trainer.logprobs(examples, 1.0), trainer.base_logprobs(examples, 1.0)):
        for got, wanted in zip(same, before, strict=True):
            assert got.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)


def test_only_adapters_are_trained_and_have_gradients_and_optimizer_states(single_process, hf_dir):
    trainer = build(
        hf_dir, settings(recompute_granularity="full", recompute_method="uniform", recompute_num_layers=1)
    )
    base = {n: p.clone() for n, p in trainer.model.named_parameters() if not is_adapter(n)}
    step(trainer, random_examples(6))
    parameters = dict(trainer.model.named_parameters())
    trained = {name for name, parameter in parameters.items() if hasattr(parameter, "main_grad")}
    assert trained == {name for name in parameters if is_adapter(name)}
    for name in trained:
        assert parameters[name].main_grad.any(), name
    for name, value in base.items():
        assert torch.equal(parameters[name], value), name
    size = sum(parameters[name].numel() for name in trained)
    parts = getattr(trainer.optimizer, "chained_optimizers", [trainer.optimizer])
    states = [state for part in parts for state in part.optimizer.state.values()]
    assert sum(state["exp_avg"].numel() for state in states) == size


def test_adapters_begin_as_pefts_do(single_process, hf_dir):
    trainer = Trainer(read_architecture(hf_dir), settings(lora_rank=8), OPTIMIZATION, 3)
    again = Trainer(read_architecture(hf_dir), settings(lora_rank=8), OPTIMIZATION, 3)
    peft = get_peft_model(family("qwen3"), LoraConfig(r=8, target_modules=list(LORA_LAYERS)))
    theirs = {name.replace(".default", ""): value for name, value in peft.named_parameters()}
    ours = dict(peft_weights(trainer.model, trainer.architecture))
    same = dict(peft_weights(again.model, again.architecture))
    for name, value in ours.items():
        assert torch.equal(value, same[name])
        bound = value.size(1) ** -0.5
        if "lora_B" in name:
            assert not value.any()
        else:
            assert 0.9 * bound < value.abs().max() <= bound
            assert 0.9 * bound < theirs[name].abs().max() <= bound
    firsts = [value.flatten()[:8] for name, value in ours.items() if "lora_A" in name]
    assert len({tuple(first.tolist()) for first in firsts}) == len(firsts)


def test_a_layer_that_is_not_there_is_one_sentence():
    with pytest.raises(ValidationError, match="has qkv_proj, a layer that is not there; the layers are q_"):
        MegatronSettings(lora_rank=8, lora_target=("q_proj", "qkv_proj"))
    with pytest.raises(ValidationError, match="lora_target"):
        MegatronSettings(lora_rank=8, lora_target=())


@pytest.mark.parametrize("given", [{"lora_alpha": 8.0}, {"lora_target": ("q_proj",)}])
def test_adapters_without_a_rank_are_no_adapters(given):
    with pytest.raises(ValidationError, match="without lora_rank adapts nothing"):
        MegatronSettings(**given)
