"""Triton compiles GPU kernels; SGLang decorates its own with it at import. 290 MB that no CPU uses."""

from absent import stand_in

stand_in(__name__, version="3.7.0")
