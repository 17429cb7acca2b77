# memvos. `make` alone lists the targets; every target that needs the environment makes it.

SHELL := /bin/sh
.DEFAULT_GOAL := help

SCALE ?= mini
DATA ?= synthetic
PAPER ?= qdmn
ARGS ?=

VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
# Of the environment, DAVIS_ROOT is for the data sets that read it, like the others' variables.
ROOT_GIVEN = $(and $(filter command,$(origin DAVIS_ROOT)),$(DAVIS_ROOT))
RUN_ARGS = scale=$(SCALE) data=$(DATA) $(if $(ROOT_GIVEN),'data.root="$(DAVIS_ROOT)"') $(ARGS)
# What `memvos bench metrics` compares with, without its dependencies.
PEER := vos-benchmark==0.1.0
NO_PEER := memvos bench metrics has no peer to compare with
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))

.PHONY: help setup test lint format smoke bench clean FORCE

help: ## list the targets
	@echo 'usage: make TARGET [SCALE=smoke|mini|small|paper] [DATA=synthetic|davis2016|...] [DAVIS_ROOT=...] [PAPER=qdmn|dmn_aoa] [ARGS=...]'
	@echo
	@awk -F ':.*## ' '/^[a-z][a-z%-]*:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  example: make reproduce-table5 SCALE=smoke ARGS='seeds=2 jobs=4'"

setup: $(STAMP) ## make the environment in .venv (with uv where present, else pip)

# A Python of 3.10 to 3.13 under one of its usual names; PYTHON=... chooses another.
$(STAMP): setup.cfg pyproject.toml
	@python=; for name in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10 python; do \
	    if "$$name" -c '$(SUPPORTED)' 2>/dev/null; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo 'memvos needs Python 3.10 to 3.13, and none was found; install one, or name it: make PYTHON=/path/to/python3' >&2; \
	    exit 1; \
	fi; \
	if command -v uv >/dev/null 2>&1; then \
	    { [ -x $(BIN)/python ] || uv venv --python "$$python" $(VENV); } && \
	    uv pip install --python $(BIN)/python -e '.[dev]' && { uv pip install --python $(BIN)/python --no-deps $(PEER) || echo '$(NO_PEER)'; }; \
	else \
	    { [ -x $(BIN)/python ] || "$$python" -m venv $(VENV) || { \
	        echo 'python -m venv failed; on Debian and Ubuntu: apt install python3-venv' >&2; rm -rf $(VENV); exit 1; }; } && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' && \
	    { $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(PEER) || echo '$(NO_PEER)'; }; \
	fi
	@touch $@

# One worker per core, each with one thread and about 2 GB, and no more than four.
test: $(STAMP) ## run the tests (ARGS='-k bank' chooses)
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal $(ARGS)

lint: $(STAMP) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## put style and formatting right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

smoke: $(STAMP) ## the whole of Table 5 in about a minute of work: is everything in place?
	$(BIN)/memvos reproduce qdmn_table5 scale=smoke $(ARGS)

reproduce-%: $(STAMP) FORCE ## make and print a table, figure or experiment of PAPER: table5, figure6, long_video, speed
	$(BIN)/memvos reproduce $(PAPER)_$* $(RUN_ARGS)

bench: $(STAMP) ## training and inference speed of this machine
	$(BIN)/memvos bench $(ARGS)

clean: ## remove caches and build files (not the environment, not runs/)
	rm -rf build dist .pytest_cache .ruff_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:
