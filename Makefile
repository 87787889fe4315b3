# What a person runs. Everything lives in ./.venv and ./artifacts; `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SILENT:

export PROFILE ?= cpu
export NIGHT ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
SGLANG_STAMP := $(VENV)/.sglang-cpu
# A profile that serves with SGLang on a CPU (`sglang: {device: cpu}`) needs the server installed as well.
SERVER := $(shell grep -qsE '^ +device: cpu\b' infra/profiles/$(PROFILE).yaml && echo sglang)
# Two threads of two processes on two cores slow each other down many times over.
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DO_NOT_TRACK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup sglang model nightly test test-all lint bench serve gc clean

help:  ## show this list
	grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: $(STAMP) $(SERVER)  ## install everything into ./.venv (once), and open the profile's night
	[ -f "artifacts/$$PROFILE/night.yaml" ] || $(BIN)/python -m tasks.night --profile "$$PROFILE"

sglang: $(SGLANG_STAMP)  ## install the SGLang server for a CPU into ./.venv (once)

model: $(STAMP)  ## fetch a published model into ./models: MODEL=gemma3-270m (Gemma's terms apply)
	exec $(BIN)/python -m training.checkpoint.fetch "$${MODEL:?is not set; say e.g. make model MODEL=gemma3-270m}" $(ARGS)

nightly: $(STAMP) $(SERVER)  ## run, continue or reproduce a night: NIGHT=2026-12-01 PROFILE=cpu ARGS="--grpo-steps 5"
	exec $(BIN)/python -m flows.run nightly --profile "$$PROFILE" $${NIGHT:+--night "$$NIGHT"} $(ARGS)

test: setup  ## run the tests but the slow ones: minutes
	exec $(PYTEST) -m "not slow" $(ARGS)

test-all: setup  ## run all tests, whole nights, servers and clusters too: about 40 minutes on two cores
	exec $(PYTEST) $(ARGS)

lint: setup  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup  ## print how fast the evaluator is on this machine
	$(BIN)/python -m tests.benchmarks.bench_simt
	exec $(BIN)/python -m tests.benchmarks.bench_cuda all

serve: setup  ## Prefect server, MLflow UI and a worker, until Ctrl-C
	exec $(BIN)/python -m flows.serve

gc: setup  ## list what no night and no model needs any more; ARGS=--delete deletes it, ARGS="--nights 3" keeps fewer
	exec $(BIN)/python -m tasks.garbage $(ARGS)

clean:  ## delete what runs made, models included; the environment stays
	rm -rf artifacts dvc.lock .dvc/cache .dvc/tmp build

$(STAMP): pyproject.toml constraints.txt
	command -v g++ >/dev/null || command -v clang++ >/dev/null || command -v c++ >/dev/null || { echo "error: there is no C++ compiler; install one, e.g. apt install g++" >&2; exit 2; }
	for python in python3 python3.12 python3.11 python; do
		if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then found=$$python; break; fi
	done
	[ -n "$${found:-}" ] || { echo "error: Python 3.11 or 3.12 with venv is needed; install it, e.g. apt install python3 python3-venv" >&2; exit 2; }
	echo "setting up ./$(VENV) with $$($$found --version); this takes some minutes once"
	[ -x $(BIN)/python ] && $(BIN)/python -c 'import pip' 2>/dev/null || $$found -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --quiet -c constraints.txt -e '.[dev]' || { echo "error: the installation failed; see above" >&2; exit 2; }
	touch $(STAMP)

$(SGLANG_STAMP): infra/sglang-cpu/requirements.txt | $(STAMP)
	echo "installing the SGLang server (250 MB) into ./$(VENV)"
	$(BIN)/python -m pip install --quiet --quiet --no-deps -r $< || { echo "error: the installation failed; see above" >&2; exit 2; }
	touch $@
