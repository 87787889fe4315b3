"""Reads audio for models that listen."""

from absent import stand_in

stand_in(__name__, version="0.13.1")
