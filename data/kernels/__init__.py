"""From graphs to CUDA: stages, what writers write with, and writers that several operators share."""
