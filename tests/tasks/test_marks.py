"""Every setting is marked, and what the marks say is what people count on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from evaluation.marks import Affects, joined, mark, part
from tasks.disk.layout import Layout
from tasks.profile import SECTIONS, load_profile
from training.settings.jobs import MegatronSettings
from training.settings.sglang import SglangSettings
from training.settings.upstream import megatron_fields, sglang_fields

ROOT = Path(__file__).parents[2]
PROFILES = sorted(path.stem for path in (ROOT / "infra" / "profiles").glob("*.yaml"))


def settings(kind: type[BaseModel], path: str) -> dict[str, Affects | None]:
    """Every setting of a section with its mark; nested sections have none of their own."""
    found: dict[str, Affects | None] = {}
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= settings(field.annotation, f"{path}.{name}")
        else:
            found[f"{path}.{name}"] = mark(kind, name)
    return found


ALL = {name: said for section, kind in SECTIONS.items() for name, said in settings(kind, section).items()}


def test_every_setting_has_a_mark():
    assert [name for name, said in ALL.items() if said is None] == []


@pytest.mark.parametrize(
    "setting",
    [
        *("evaluation.workers", "evaluation.cache_path", "evaluation.failures_in_a_row"),
        *("rollout.server_python", "rollout.server_path", "rollout.engine_urls", "rollout.num_engines"),
        *("rollout.gpus_per_engine", "rollout.engine", "rollout.weight_sync", "rollout.colocate"),
        *("rollout.request_timeout_s", "rollout.server_start_timeout_s", "megatron.nproc_per_node"),
        *("megatron.max_tokens_per_gpu", "sft.micro_batch_size", "grpo.save_every", "launcher.kind"),
    ],
)
def test_where_and_how_fast_is_the_machines(setting):
    assert ALL[setting] is Affects.MACHINE


@pytest.mark.parametrize(
    "setting",
    [
        *("data.seed", "data.heldout.level2", "model.hidden_size", "sft.lr", "sft.steps", "grpo.steps"),
        *("grpo.minibatches", "rollout.temperature", "rollout.max_new_tokens", "evaluation.backend"),
        *("evaluation.rewards.correct", "evaluation.time_limit_s", "benchmark.samples_per_problem"),
        *("benchmark.timing.max_seconds", "megatron.bf16", "model.chat_template_kwargs"),
    ],
)
def test_what_is_computed_is_the_results(setting):
    assert ALL[setting] is Affects.RESULT


def test_the_machines_names_in_a_library_are_names_there():
    assert set(megatron_fields()) >= MegatronSettings.MACHINE_EXTRAS
    assert set(sglang_fields()) >= SglangSettings.MACHINE_EXTRAS


def test_a_librarys_settings_are_divided_too():
    servers = SglangSettings.model_validate({"mem_fraction_static": 0.5, "dtype": "float32"})
    assert part(servers, Affects.MACHINE) == {"device": "cuda", "mem_fraction_static": 0.5}
    assert part(servers, Affects.RESULT) == {"dtype": "float32"}
    megatron = MegatronSettings.model_validate({"recompute_granularity": "full", "init_method_std": 0.1})
    assert part(megatron, Affects.MACHINE)["recompute_granularity"] == "full"
    assert part(megatron, Affects.RESULT)["init_method_std"] == 0.1


@pytest.mark.parametrize("name", PROFILES)
def test_the_two_parts_of_a_profile_are_the_whole(name):
    profile = load_profile(Layout(ROOT, name))
    result, machine = profile.sections(Affects.RESULT), profile.sections(Affects.MACHINE)
    assert joined(result, machine) == profile.model_dump(mode="json", include=set(SECTIONS))
