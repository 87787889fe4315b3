"""Reads quantized checkpoints; ours are not."""

from absent import stand_in

stand_in(__name__, version="0.18.0")
