"""Settings of the servers: names, command lines, places, and what is refused before anything starts."""

import json

import pytest
from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from tests.training.night import base_checkpoint
from training.rollout.open import check_engine, open_engine
from training.rollout.sglang.checks import require_fixed_addresses
from training.rollout.sglang.placement import Place, Rank, make_launch, place_engines
from training.rollout.sglang.server import server_environment
from training.rollout.sglang.start import _choose
from training.settings.architecture import read_architecture
from training.settings.jobs import TrainingSettings
from training.settings.rollout import RolloutSettings
from training.settings.sglang import Device, SglangSettings, WeightSync

ALONE = Rank(0, 1, 0, 1)


@pytest.fixture(scope="module")
def hf_dir(tmp_path_factory):
    """A tiny checkpoint with its tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    base_checkpoint(folder)
    return folder / "base"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("mem_fraction_statik", "nearest valid name is `mem_fraction_static`"),
        ("tp_size", "follows from rollout.gpus_per_engine"),
        ("model_path", "follows from the checkpoint"),
    ],
)
def test_names_are_checked(name, complaint):
    with pytest.raises(ValidationError, match=complaint):
        SglangSettings(**{name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [("mem_fraction_static", "much"), ("disable_radix_cache", "maybe"), ("context_length", 1.5)],
)
def test_values_are_checked(name, value):
    with pytest.raises(ValidationError, match=f"`{name}` cannot be {value!r}: Input should be"):
        SglangSettings(**{name: value})
    assert SglangSettings(mem_fraction_static="0.5").extra == {"mem_fraction_static": 0.5}


def test_command_line():
    settings = SglangSettings(
        device="cpu", mem_fraction_static=0.5, disable_radix_cache=True, enable_metrics=False, dtype=None
    )
    assert settings.command_line({"dtype": "float32", "gc_threshold": [1, 2]}) == [
        *("--gc-threshold", "1", "2", "--mem-fraction-static", "0.5", "--disable-radix-cache"),
        *("--device", "cpu"),
    ]


def places(rank: Rank, gpus: int, training: bool = True, **rollout) -> list[Place]:
    return place_engines(RolloutSettings(**rollout), Device.CUDA, rank, gpus=gpus, training=training)


def test_colocated_engines_share_the_trainers_gpus():
    assert places(ALONE, 1) == [Place(0, 0, 0, (0,))]
    two_nodes = places(Rank(0, 16, 0, 8), 8, num_engines=8, gpus_per_engine=2)
    assert [(place.node, place.first_gpu) for place in two_nodes] == [
        (node, gpu) for node in (0, 1) for gpu in (0, 2, 4, 6)
    ]
    assert two_nodes[5].trainer_ranks == (10, 11)


def test_engines_apart_come_after_the_trainers_gpus():
    apart = places(Rank(0, 2, 0, 2), 4, num_engines=2, colocate=False)
    assert [(place.first_gpu, place.trainer_ranks) for place in apart] == [(2, ()), (3, ())]


def test_engines_on_a_cpu_share_its_cores():
    on_cpu = place_engines(RolloutSettings(num_engines=2), Device.CPU, ALONE, gpus=0, training=True)
    assert on_cpu == [Place(0, 0, 0, ()), Place(1, 0, 0, ())]


def test_engines_without_a_trainer_begin_at_the_first_gpu():
    assert places(ALONE, 1, training=False, colocate=False) == [Place(0, 0, 0, ())]


def test_an_evaluation_has_the_engines_that_fit_one_node():
    evaluating = places(ALONE, 8, training=False, num_engines=8, gpus_per_engine=2)
    assert [(place.node, place.first_gpu, place.trainer_ranks) for place in evaluating] == [
        (0, gpu, ()) for gpu in (0, 2, 4, 6)
    ]
    with pytest.raises(WarpsmithError, match="need 16 GPUs, but this machine has 1"):
        places(ALONE, 1, training=False, num_engines=8, gpus_per_engine=2)


@pytest.mark.parametrize(
    ("rank", "gpus", "rollout", "complaint"),
    [
        (ALONE, 1, {"gpus_per_engine": 2}, "need 2 GPUs, but this machine has 1"),
        (
            Rank(0, 4, 0, 4),
            4,
            {"colocate": False},
            "need 1 GPUs beside the 4 that train, but this machine has 4",
        ),
        (Rank(0, 2, 0, 2), 8, {"num_engines": 4}, "only 2 train and can be shared"),
        (Rank(0, 16, 0, 8), 8, {"num_engines": 3}, "cannot be divided over 2 nodes"),
    ],
)
def test_too_few_gpus(rank, gpus, rollout, complaint):
    with pytest.raises(WarpsmithError, match=complaint):
        places(rank, gpus, **rollout)


def test_the_way_for_weights(monkeypatch):
    from tests.training.rollout.sglang.scripted import INFO
    from training.rollout.sglang.protocol import ServerInfo

    cpu, cuda = ServerInfo(**INFO), ServerInfo(**INFO | {"device": "cuda"})
    assert _choose(WeightSync.AUTO, cpu, shares_gpus=False) is WeightSync.TENSOR
    with pytest.raises(WarpsmithError, match="trainer has none"):
        _choose(WeightSync.DISTRIBUTED, cuda, shares_gpus=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert _choose(WeightSync.AUTO, cuda, shares_gpus=True) is WeightSync.TENSOR
    assert _choose(WeightSync.AUTO, cuda, shares_gpus=False) is WeightSync.DISTRIBUTED
    with pytest.raises(WarpsmithError, match="two processes on one GPU"):
        _choose(WeightSync.DISTRIBUTED, cuda, shares_gpus=True)


def launch(hf_dir, tmp_path, **changes):
    settings = TrainingSettings(
        rollout=RolloutSettings(engine="sglang", **changes.get("rollout", {})),
        sglang=SglangSettings(**changes.get("sglang", {"device": "cpu"})),
    )
    return make_launch(
        Place(0, 0, 0, changes.get("trainer_ranks", ())),
        settings,
        read_architecture(hf_dir),
        hf_dir,
        host="127.0.0.1",
        load_weights=changes.get("load_weights", False),
        log_dir=tmp_path,
    )


@pytest.fixture
def any_module(monkeypatch):
    """As if SGLang were installed."""
    monkeypatch.setattr("training.rollout.sglang.placement.require_module", lambda *_: None)


@pytest.mark.usefixtures("any_module")
def test_defaults_of_a_server_on_a_cpu(hf_dir, tmp_path):
    made = launch(hf_dir, tmp_path)
    command = " ".join(made.command)
    for part in (
        "--load-format dummy",
        "--weight-version none",
        "--dtype float32",
        "--device cpu",
        "torch_native",
    ):
        assert part in command
    assert "--enable-memory-saver" not in command
    assert made.environment["PYTHONPATH"].split(":")[0].endswith("infra/sglang-cpu/stubs")
    assert made.environment["TORCHDYNAMO_DISABLE"] == "1"


@pytest.mark.usefixtures("any_module")
def test_defaults_of_a_server_on_the_trainers_gpu(hf_dir, tmp_path):
    made = launch(hf_dir, tmp_path, sglang={}, trainer_ranks=(0,), load_weights=True)
    command = " ".join(made.command)
    for part in ("--enable-memory-saver", "--load-format auto", "--weight-version 0", "--dtype bfloat16"):
        assert part in command
    assert "stubs" not in made.environment.get("PYTHONPATH", "")


def test_a_server_is_no_rank_of_the_trainer(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "0")
    environment = server_environment(["/a"], {"X": "1"})
    assert not {"RANK", "LOCAL_RANK", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"} & environment.keys()
    assert environment["PYTHONPATH"].startswith("/a") and environment["X"] == "1"


def opening(hf_dir, complaint, sglang=None, **rollout):
    settings = TrainingSettings(
        rollout=RolloutSettings(engine="sglang", **rollout),
        sglang=SglangSettings(**{"device": "cpu"} | (sglang or {})),
    )
    with pytest.raises(WarpsmithError, match=complaint), open_engine(settings, hf_dir, load_weights=True):
        pass


def test_an_url_that_answers_nothing_is_named(hf_dir):
    opening(hf_dir, r"no SGLang server answers at http://127\.0\.0\.1:9 ", engine_urls=["http://127.0.0.1:9"])


def test_what_is_wrong_is_found_before_training_begins(hf_dir, monkeypatch):
    for complaint, sglang, rollout in (
        ("no SGLang server answers", {}, {"engine_urls": ["http://127.0.0.1:9"]}),
        ("cannot be run", {}, {"server_python": "/nowhere/python"}),
        ("exceeds the model's", {"context_length": 10**6}, {}),
        ("need 2 GPUs", {"device": "cuda"}, {"num_engines": 2}),
    ):
        settings = TrainingSettings(
            rollout=RolloutSettings(engine="sglang", **rollout),
            sglang=SglangSettings(**{"device": "cpu"} | sglang),
        )
        with pytest.raises(WarpsmithError, match=complaint):
            check_engine(settings, hf_dir)
    shared = [Place(0, 0, 0, trainer_ranks=(0,))]
    require_fixed_addresses(shared)
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    with pytest.raises(WarpsmithError, match="expandable_segments"):
        require_fixed_addresses(shared)


def test_sglang_that_is_not_installed_is_named(hf_dir, tmp_path):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    opening(hf_dir, "sglang is not installed for .*; install it", server_python=str(bare))
    opening(hf_dir, "cannot be run: No such file", server_python=str(tmp_path / "none"))


def test_a_context_longer_than_the_model_is_named(hf_dir):
    opening(
        hf_dir,
        "context_length 4096 exceeds the model's max_position_embeddings 128",
        {"context_length": 4096},
    )


def test_a_tokenizer_beyond_the_vocabulary_is_named(hf_dir, tmp_path):
    """It would kill the server with its first prompt."""
    small = tmp_path / "small"
    small.mkdir()
    for file in hf_dir.iterdir():
        (small / file.name).write_bytes(file.read_bytes())
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"vocab_size": 10}))
    opening(small, "gives the model 10 tokens")
