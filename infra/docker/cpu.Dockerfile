# The pipeline for machines without a GPU. The checkout is mounted, not copied: see docs/cluster.md.
#   docker build -f infra/docker/cpu.Dockerfile -t warpsmith-cpu:0.1.0 .
FROM python:3.12.12-slim-bookworm
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt README.md /opt/warpsmith/
COPY infra/sglang-cpu/requirements.txt /opt/warpsmith/sglang-cpu.txt
RUN python -m venv /opt/trainer \
    && /opt/trainer/bin/pip install --no-cache-dir \
        --extra-index-url https://download.pytorch.org/whl/cpu \
        -c /opt/warpsmith/constraints.txt '/opt/warpsmith[dev]' \
    && /opt/trainer/bin/pip install --no-cache-dir --no-deps -r /opt/warpsmith/sglang-cpu.txt
ENV PATH=/opt/trainer/bin:$PATH OMP_NUM_THREADS=1
WORKDIR /checkout
