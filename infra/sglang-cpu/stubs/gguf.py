"""Reads llama.cpp's checkpoints; ours are Hugging Face folders."""

from absent import stand_in

stand_in(__name__, version="0.19.0")
