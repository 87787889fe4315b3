"""torchvision reads images for models that see; its builds must match torch's exactly."""

from absent import stand_in

stand_in(__name__, version="0.28.0")
