"""The reference pool: right numbers from friendly programs, one clear refusal from hostile ones."""

import signal
import threading
import time

import numpy as np
import pytest

from evaluation import confine
from evaluation.errors import WarpsmithError
from evaluation.problem import Dialect, Instance, Tensor
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.pool import Description, ProgramError, ReferencePool, Survey

SOFTMAX = """
import torch
m, n = 37, 45

def get_inputs():
    return [torch.randn(m, n), torch.rand(n)]

def fused_operator(x, y):
    return torch.softmax(x + y, dim=1), (x > 0).sum(1)
"""
MODEL = """
import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.eval()
        self.scale = nn.Parameter(torch.full((width,), 2.0))
        self.register_buffer("mask", torch.tensor([0.0, 1.0, 1.0]))

    def forward(self, x):
        return self.norm(x) * self.scale * self.mask + self.norm.bias

def get_inputs():
    return [torch.randn(5, 3)]

def get_init_inputs():
    return [3]
"""


def own(seed):
    return Draw(Kind.OWN, seed)


def function(body, inputs="torch.randn(6, 8)"):
    return f"import torch\ndef get_inputs():\n    return [{inputs}]\ndef fused_operator(x):\n{body}\n"


def instance_of(pool, program):
    found = pool.describe(program)
    return Instance(
        program=program, sizes={}, inputs=found.inputs, parameters=found.parameters, outputs=found.outputs
    )  # fmt: skip


def test_a_description_names_the_tensors(reference):
    found = reference.describe(SOFTMAX)
    assert found == Description(
        dialect=Dialect.FUNCTION,
        inputs=(
            Tensor(name="x", shape=(37, 45), dtype="float32"),
            Tensor(name="y", shape=(45,), dtype="float32"),
        ),
        parameters=(),
        outputs=(
            Tensor(name="out0", shape=(37, 45), dtype="float32"),
            Tensor(name="out1", shape=(37,), dtype="int64"),
        ),
        finite=True,
        constant=False,
        copies_input=False,
        zero=False,
    )
    assert found.degenerate is None


def test_expected_values_are_those_of_float64(reference):
    trial = reference.trial(instance_of(reference, SOFTMAX), own(0))
    x, y = (trial.inputs[name].astype(np.float64) for name in ("x", "y"))
    weights = np.exp(x + y - (x + y).max(1, keepdims=True))
    np.testing.assert_allclose(trial.expected["out0"], weights / weights.sum(1, keepdims=True), rtol=1e-13)
    np.testing.assert_array_equal(trial.expected["out1"], (x > 0).sum(1))
    assert trial.expected["out0"].dtype == np.float64 and trial.expected["out1"].dtype == np.int64
    assert (trial.slack["out0"] > 0).all() and trial.slack["out0"].max() < 1e-5
    assert (trial.slack["out1"] == 0).all()
    assert not trial.inputs["x"].flags.writeable


def test_trials_depend_on_the_instance_and_the_seed_alone(reference):
    instance = instance_of(reference, SOFTMAX)
    with ReferencePool() as other:
        for seed in (0, 1):
            ours, theirs = reference.trial(instance, own(seed)), other.trial(instance, own(seed))
            for name in ("x", "y"):
                np.testing.assert_array_equal(ours.inputs[name], theirs.inputs[name])
            np.testing.assert_array_equal(ours.expected["out0"], theirs.expected["out0"])
    assert not np.array_equal(
        reference.trial(instance, own(0)).inputs["x"], reference.trial(instance, own(2)).inputs["x"]
    )


def test_parameters_and_buffers_are_inputs_and_redrawn(reference):
    instance = instance_of(reference, MODEL)
    assert [tensor.name for tensor in instance.parameters] == [
        "scale", "mask", "norm_weight", "norm_bias", "norm_running_mean", "norm_running_var",
        "norm_num_batches_tracked",
    ]  # fmt: skip
    first, second = reference.trial(instance, own(0)), reference.trial(instance, own(2))
    for name in ("scale", "norm_weight", "norm_bias", "norm_running_mean", "norm_running_var"):
        assert len(set(first.inputs[name].tolist())) == 3
        assert not np.array_equal(first.inputs[name], second.inputs[name])
    assert first.inputs["norm_running_var"].min() > 0
    assert first.inputs["mask"].tolist() == [0, 1, 1]
    values = {name: array.astype(np.float64) for name, array in first.inputs.items()}
    scaled = (values["x"] - values["norm_running_mean"]) / np.sqrt(values["norm_running_var"] + 1e-5)
    normal = scaled * values["norm_weight"] + values["norm_bias"]
    expected = normal * values["scale"] * values["mask"] + values["norm_bias"]
    np.testing.assert_allclose(first.expected["out"], expected, rtol=1e-12)


def test_half_precision_is_judged_in_float64(reference):
    program = function("    return x * 3", "torch.randn(64, dtype=torch.bfloat16)")
    trial = reference.trial(instance_of(reference, program), own(0))
    assert trial.inputs["x"].dtype == np.uint16
    wide = (trial.inputs["x"].astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    np.testing.assert_array_equal(trial.expected["out"], wide * 3)
    assert 1e-4 < trial.slack["out"].max() < 0.1


def test_programs_for_a_gpu_run_on_the_cpu(reference):
    body = """    y = torch.zeros(8, device="cuda") + x.cuda().to("cuda:0").float()
    z = torch.nn.functional.batch_norm(y, torch.zeros(8).cuda(), torch.ones(8).cuda(), training=True)
    return z.to(torch.float32)"""
    instance = instance_of(reference, function(body))
    trial = reference.trial(instance, own(0))
    x = trial.inputs["x"].astype(np.float64)
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    np.testing.assert_allclose(trial.expected["out"], expected, rtol=1e-12)


def test_inputs_survive_a_program_that_overwrites_them(reference):
    trial = reference.trial(instance_of(reference, function("    return x.add_(1) * 2")), own(0))
    np.testing.assert_array_equal(trial.expected["out"], (trial.inputs["x"].astype(np.float64) + 1) * 2)


def test_plain_numbers_among_the_inputs_are_constants(reference):
    program = """
import torch
def get_inputs():
    return [torch.randn(4, 5), 3.5]
def fused_operator(x, s):
    return {"product": x * s}
"""
    found = reference.describe(program)
    assert [tensor.name for tensor in found.inputs] == ["x"]
    assert [tensor.name for tensor in found.outputs] == ["out"]


NESTED = """
import torch
import torch.nn as nn
from einops import rearrange

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, xs, states, mode, options=None):
        y, kept = self.lstm(rearrange(xs[0], "t b c -> b t c") + xs[1], states)
        assert mode == "both" and options["scale"] == 2.0 and options["none"] is None
        return {"y": y * options["scale"], "kept": (kept, None)}

def get_inputs():
    states = (torch.randn(1, 2, 3), torch.randn(1, 2, 3))
    return [[torch.randn(5, 2, 4), torch.randn(4)], states, "both", {"scale": 2.0, "none": None}]
"""
TIED = """
import functools
import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"up": nn.Linear(4, 8), "down": nn.Linear(8, 4)})
        layers = self.layers
        self.block = lambda x: layers["down"](torch.relu(layers["up"](x)))
        self.scaled = functools.partial(torch.mul, layers["down"].bias)
        self.shifts = [torch.arange(4.0)]

    def forward(self, x):
        return self.scaled(self.block(x)) + self.shifts[0]

def get_inputs():
    return [torch.randn(5, 4)]
"""
BY_GRADIENT = """
import torch
def get_inputs():
    return [torch.randn(5, 4)]
def fused_operator(x):
    x = x.requires_grad_()
    (x ** 3).sum().backward()
    return x.grad
"""


def test_inputs_and_outputs_may_lie_in_lists_tuples_and_dictionaries(reference):
    (surveyed,) = reference.survey([NESTED])
    instance = instance_of(reference, NESTED)
    assert surveyed.tensors == instance.inputs + instance.parameters + instance.outputs
    assert [tensor.name for tensor in instance.inputs] == ["xs0", "xs1", "states0", "states1"]
    assert [(tensor.name, tensor.shape) for tensor in instance.outputs] == [
        ("out0", (2, 5, 3)), ("out1", (1, 2, 3)), ("out2", (1, 2, 3)),
    ]  # fmt: skip
    expected = reference.trial(instance, own(0)).expected
    np.testing.assert_allclose(expected["out0"][:, -1], 2 * expected["out1"][0], rtol=1e-12)


def test_what_a_module_keeps_beside_its_parameters_is_widened_with_them(reference):
    instance = instance_of(reference, TIED)
    trial = reference.trial(instance, own(0))
    x, up, down = (
        trial.inputs[name].astype(float) for name in ("x", "layers_up_weight", "layers_down_weight")
    )
    biases = [trial.inputs[f"layers_{name}_bias"].astype(float) for name in ("up", "down")]
    hidden = np.maximum(x @ up.T + biases[0], 0)
    np.testing.assert_allclose(
        trial.expected["out"], biases[1] * (hidden @ down.T + biases[1]) + np.arange(4), rtol=1e-12
    )


def test_a_program_may_compute_gradients(reference):
    trial = reference.trial(instance_of(reference, BY_GRADIENT), own(0))
    np.testing.assert_allclose(trial.expected["out"], 3 * trial.inputs["x"].astype(float) ** 2, rtol=1e-12)


def test_a_constructor_may_read_values(reference):
    text = MODEL.replace("self.eval()", "self.factor = torch.linspace(0, 1, 3)[1].item()").replace(
        "5, 3", "5000000, 3"
    )
    (found,) = reference.survey([text], 1000)
    assert isinstance(found, Survey) and found.inputs[0].shape == (5000000, 3)


def test_a_survey_allocates_nothing(reference):
    huge = SOFTMAX.replace("37, 45", "1 << 20, 1 << 16")
    (found,) = reference.survey([huge])
    assert isinstance(found, Survey)
    assert found.outputs[0].shape == (1 << 20, 1 << 16)
    assert found.flops >= (1 << 36)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("options", ["2, batch_first=True", "3, bidirectional=True, bias=False"])
def test_recurrent_layers_are_surveyed_without_their_steps(reference, layer, options):
    program = f"""
import torch
length = 11
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.{layer}(5, 4, {options})
    def forward(self, x):
        return self.layer(x)
def get_inputs():
    return [torch.rand(length, 3, 5)]
"""
    small, large = reference.survey([program, program.replace("= 11", "= 100_000")])
    assert isinstance(small, Survey) and isinstance(large, Survey)
    described = reference.describe(program)
    assert small.outputs == described.outputs
    assert large.outputs[0].shape == (100_000, *small.outputs[0].shape[1:])
    assert large.flops > 5000 * small.flops


def test_matrix_products_count_two_operations_a_multiplication(reference):
    program = function("    return x @ x.t()", "torch.randn(512, 2048)")
    (found,) = reference.survey([program])
    assert found.flops == 2 * 512 * 512 * 2048


def test_values_decide_shapes_only_where_running_is_allowed(reference):
    program = function("    return x[x > 0].sort().values[: int(x.size(0))]", "torch.randn(400, 9)")
    (refused,) = reference.survey([program])
    assert isinstance(refused, ProgramError)
    (found,) = reference.survey([program], limit=4000)
    assert found.outputs[0].shape == (400,)


@pytest.mark.parametrize(
    ("body", "flag"),
    [
        ("    return torch.relu(-x.abs())", "zero everywhere"),
        ("    return torch.softmax(x, 1).sum(1)", "constant"),
        ("    return torch.ones(4) * 3", "constant"),
        ("    return torch.relu(x.abs() - 1e9).float()", "zero everywhere"),
        ("    return x.clone()", "a copy of an input"),
        ("    return torch.nn.functional.hardtanh(x, -1e9, 1e9)", "a copy of an input"),
        ("    return x.log()", "not finite"),
        ("    return x * 1e30 * 1e30 * 1e-30 * 1e-30", "not finite"),
    ],
)
def test_worthless_outputs_are_flagged(reference, body, flag):
    assert reference.describe(function(body)).degenerate == flag


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    return torch.nn.functional.dropout(x, 0.5)", "not the same for the same inputs"),
        ("    return (x + 1e9) - 1e9", "no kernel could be judged"),
        ("    return x.sum().item()", "must return a tensor"),
        ("    return x.to(torch.complex64)", "complex64"),
        ("    return undefined", "NameError"),
        ("    raise SystemExit(0)", "SystemExit"),
        ("    return fused_operator(x)", "RecursionError"),
    ],
)
def test_what_cannot_be_judged_is_refused(reference, body, reason):
    with pytest.raises(ProgramError, match=reason):
        reference.describe(function(body))


@pytest.mark.parametrize(
    "statement",
    [
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "os.listdir('/')",
        "os.listdir(os.path.expanduser('~') + '/..')",
        "open(os.environ['HOME'] + '/file', 'w')",
        "os.mkdir(os.environ['HOME'] + '/folder')",
        "os.chmod('/tmp', 0o777)",
        "os.fork()",
        "__import__('threading').Thread(target=print).start()",
        "__import__('subprocess').run(['true'])",
        "__import__('socket').socket()",
        "os.kill(os.getppid(), 9)",
        "__import__('resource').setrlimit(0, (1000, 1000))",
        "bytearray(64 << 30)",
    ],
)
def test_attacks_are_contained(reference, statement):
    body = f"    import os\n    {statement}\n    raise AssertionError('it worked')"
    with pytest.raises(ProgramError) as caught:
        reference.describe(function(body))
    assert "it worked" not in str(caught.value)


def test_what_a_program_prints_goes_nowhere(reference):
    body = "    import os\n    print('noise')\n    os.write(1, b'forged')\n    return x.sum(1)"
    assert reference.describe(function(body)).degenerate is None


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("os._exit(0)", "ended its process"),
        ("os.write(3, b'garbage'); os._exit(0)", "ended its process or tampered"),
        ("os.write(3, (2).to_bytes(8, 'little') + b'{}'); os._exit(0)", "tampered"),
        ("__import__('ctypes').string_at(0)", "Segmentation fault"),
    ],
)
def test_a_process_that_ends_early_is_noticed(reference, statement, reason):
    with pytest.raises(ProgramError, match=reason):
        reference.describe(function(f"    import os\n    {statement}"))


def test_secrets_of_the_caller_stay_outside(monkeypatch):
    monkeypatch.setenv("WARPSMITH_SECRET", "hush")
    body = "    import os\n    raise ValueError(sorted(os.environ))"
    with ReferencePool() as pool, pytest.raises(ProgramError) as caught:
        pool.describe(function(body))
    assert "SECRET" not in str(caught.value) and "HOME" in str(caught.value)


@pytest.mark.slow
def test_spinning_and_sleeping_end_and_the_pool_lives_on():
    with ReferencePool(cpu_seconds=1) as pool:
        with pytest.raises(ProgramError, match="more than 1 seconds of CPU"):
            pool.describe(function("    while True: pass"))
        with pytest.raises(ProgramError, match="did not finish in time"):
            pool.describe(function("    import time\n    time.sleep(1000)"))
        assert pool.describe(SOFTMAX).finite


def test_tensors_that_are_not_those_of_the_record_are_refused(reference):
    instance = instance_of(reference, function("    return x.sum(1)"))
    other = instance.model_copy(update={"program": function("    return x.sum(0)")})
    with pytest.raises(ProgramError, match="not those of its record"):
        reference.trial(other, own(0))


def test_a_trial_is_drawn_once(reference):
    instance = instance_of(reference, SOFTMAX)
    assert reference.trial(instance, own(5)) is reference.trial(instance, own(5))


def test_the_cache_forgets_what_does_not_fit():
    with ReferencePool(cache_mb=0) as pool:
        instance = instance_of(pool, SOFTMAX)
        assert pool.trial(instance, own(5)) is not pool.trial(instance, own(5))


def test_workers_started_by_a_thread_outlive_it():
    with ReferencePool() as pool:
        found = []
        thread = threading.Thread(target=lambda: found.append(pool.describe(SOFTMAX)))
        thread.start()
        thread.join()
        assert pool.describe(SOFTMAX) == found[0]


def test_many_calls_at_a_time_give_what_single_ones_give(reference):
    instance = instance_of(reference, SOFTMAX)
    with ReferencePool(2) as pool:
        trials = pool.trials([(instance, own(seed)) for seed in range(6)])
    for seed, trial in enumerate(trials):
        np.testing.assert_array_equal(
            trial.expected["out0"], reference.trial(instance, own(seed)).expected["out0"]
        )


@pytest.fixture
def slow_start(monkeypatch):
    """Workers that take longer to start than a test waits."""
    monkeypatch.setattr(confine, "_BOOTSTRAP", "import time; time.sleep(30)")
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < 10


def test_who_interrupts_a_call_need_not_wait_until_the_worker_has_started(slow_start, monkeypatch):
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), ReferencePool() as pool:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            pool.describe(SOFTMAX)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_closing_ends_a_worker_that_another_thread_starts(slow_start):
    pool, errors = ReferencePool(), []

    def call():
        try:
            pool.describe(SOFTMAX)
        except (WarpsmithError, ProgramError) as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not pool._workers:
        time.sleep(0.01)
    pool.close()
    thread.join()
    assert len(errors) == 1


def test_a_closed_pool_says_so():
    pool = ReferencePool()
    pool.close()
    pool.close()
    with pytest.raises(WarpsmithError, match="closed"):
        pool.describe(SOFTMAX)


def test_a_kernel_without_landlock_is_refused_where_confinement_is_required(monkeypatch):
    monkeypatch.setattr(confine, "has_landlock", lambda: False)
    with ReferencePool(require_confinement=True) as pool, pytest.raises(WarpsmithError, match="no Landlock"):
        pool.describe(SOFTMAX)


LARGE = """
import sys
import torch

def get_inputs():
    return [torch.randn(4096, 4096)]

def fused_operator(x):
    found = torch.relu(torch.mm(x, x))
    if "torch._dynamo" in sys.modules:
        raise RuntimeError("the compiler of torch was imported")
    return found
"""


def test_working_out_shapes_does_not_import_the_compiler(reference):
    (found,) = reference.survey([LARGE], 0)
    assert isinstance(found, Survey), found
    assert found.flops > 2 * 4096**3


def test_a_worker_that_was_started_early_is_the_one_that_answers():
    with ReferencePool() as pool:
        pool.start()
        (started,) = pool._workers
        assert isinstance(pool.describe(SOFTMAX), Description)
        assert pool._workers == {started}
