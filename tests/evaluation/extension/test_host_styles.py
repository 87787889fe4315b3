"""One kernel, and the many ways in which people write what stands around it."""

import pytest

from evaluation.extension.adapt import adapt
from evaluation.extension.outcome import Adapted
from tests.evaluation.extension.test_adapt import KERNEL, PROBLEM, PYTHON

#: Host code around `k`, which takes x, y and a number.
HOSTS = [
    """at::cuda::CUDAGuard device_guard{(char)x.get_device()};
    auto y = torch::empty_like(x, x.options()); LAUNCH return y;""",
    """auto shape = x.sizes().vec(); shape[0] = x.size(0); shape[1] *= 1;
    auto y = torch::empty(shape, x.options()); LAUNCH return y;""",
    """int64_t n = 1; for (auto s : x.sizes()) n *= s;
    auto y = torch::empty({n}, torch::dtype(x.dtype())).view(x.sizes()); LAUNCH return y;""",
    """if (x.dtype() == torch::kFloat16) { return x; } else if (x.numel() == 0) return x;
    auto y = at::empty_like(x); LAUNCH return y;""",
    """torch::Tensor y; y = torch::empty_like(x); { LAUNCH }
    cudaError_t e = cudaGetLastError(); TORCH_CHECK(e == cudaSuccess, e); return y;""",
    """dim3 b = {64}; const float *p = x.data_ptr<float>(); auto y = torch::empty_like(x);
    k<<<3, b>>>(p, y.data_ptr<float>(), b.x); return y;""",
    """auto y = torch::empty_like(x);
    auto go = [&](auto t) { k<<<3, t>>>(x.data_ptr<float>(), y.data_ptr<float>(), t); };
    go(64); return y;""",
    "auto y = x.clone(); y.fill_(0.5); LAUNCH return y.to(torch::kFloat32).contiguous();",
]
LAUNCH = "k<<<3, 64>>>(x.data_ptr<float>(), (float*)y.data_ptr(), 64u);"

#: Python in place of what stands in PYTHON.
MODULES = [
    (
        "m = load_inline(",
        "try:\n    print()\nfinally:\n    pass\nif torch.cuda.is_available():\n  m = load_inline(",
    ),
    (
        "m.f(x)",
        "get().f(x)\ndef get():\n    global _m\n    if _m is None:\n        _m = m\n    return _m\n_m = None",
    ),
    (
        "class ModelNew(torch.nn.Module):\n    def forward(self, x):\n        return m",
        "class Base(torch.nn.Module):\n    def __init__(self):\n        self.m = m\n"
        "class ModelNew(Base):\n    def forward(self, x):\n        return self.m",
    ),
    ("m.f(x)", "self.run(x)\n    def run(self, x):\n        f = m.f\n        return f(x=x.detach())"),
    ('cpp_sources=""', 'cpp_sources=textwrap.dedent("").strip()'),
    ("def forward", "k = 3\n    @torch.no_grad()\n    def forward"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_cpp(host):
    code = host.replace("LAUNCH", LAUNCH)
    taken = adapt(f"{KERNEL}torch::Tensor f(torch::Tensor x) {{ {code} }}", PROBLEM)
    assert isinstance(taken, Adapted), taken
    assert "// launch k<<<3, 64>>>(x, out, 64)\n" in taken.text


@pytest.mark.parametrize(("old", "new"), MODULES)
def test_python(old, new):
    assert old in PYTHON
    taken = adapt(f"import torch, textwrap\n{PYTHON.replace(old, new)}", PROBLEM)
    assert isinstance(taken, Adapted), taken
    assert taken.text.startswith("// launch k<<<4, 64>>>(x, out,")
