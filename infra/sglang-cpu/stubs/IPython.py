"""SGLang imports the notebook's display functions for its examples."""

from absent import stand_in

stand_in(__name__, version="9.0.0")
