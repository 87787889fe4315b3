"""SGLang's own GPU kernels; the wheel exists for CUDA only."""

import torch
from absent import stand_in

stand_in(__name__, version="0.4.7")

if not torch.cuda.is_available():
    # /weights_checker waits for the GPU before it takes checksums; on a CPU there is nothing to wait for.
    torch.cuda.synchronize = lambda device=None: None
