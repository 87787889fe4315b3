# The pipeline for machines with GPUs: the trainer in /opt/trainer, SGLang's server in /opt/sglang, which pins
# other versions of what both need. The checkout is mounted, not copied: see docs/cluster.md.
#   docker build -f infra/docker/gpu.Dockerfile -t warpsmith-gpu:0.1.0 .
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git libnuma1 make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt README.md /opt/warpsmith/
RUN python3 -m venv /opt/trainer \
    && /opt/trainer/bin/pip install --no-cache-dir \
        -c /opt/warpsmith/constraints.txt '/opt/warpsmith[gpu,dev]'
RUN python3 -m venv /opt/sglang \
    && /opt/sglang/bin/pip install --no-cache-dir sglang==0.5.20 sglang-router==0.3.2
ENV PATH=/opt/trainer/bin:$PATH
WORKDIR /checkout
