# `make demo` and `make test` are all the set-up there is; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: the tests run two at a time, and small tensors gain nothing from more.
export OMP_NUM_THREADS ?= 1

.PHONY: help install demo test test-slow test-metrics lint format lock docs clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## make .venv with the tested versions

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "codeclab needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is %d.%d; try: make PYTHON=python3.12 demo" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

demo: install  ## train small codecs on the CPU and tabulate them beside Opus, in minutes
	env -u OMP_NUM_THREADS $(BIN)/codeclab table demo --seeds 1

test: install lint  ## every check: lint, types, tests
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow"

test-slow: install  ## the tests that train for minutes
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m slow

# In .venv they would slow every start: torchmetrics, and so Lightning, imports librosa and onnxruntime where they are.
test-metrics:  ## the extras `metrics` and `engines` against their packages, in .venv-metrics
	$(MAKE) install VENV=.venv-metrics
	VIRTUAL_ENV=$(CURDIR)/.venv-metrics .venv-metrics/bin/uv pip install --quiet -e '.[metrics,engines]'
	.venv-metrics/bin/python -m pytest -q -n 2 --dist worksteal tests/benchmarks/metrics tests/test_contracts.py \
		tests/codecs/engines/test_engine.py tests/experiments/cli/test_export_graphs.py

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install  ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install  ## renew requirements.lock, torch and torchaudio held at the last pair that fits
	printf 'torch==2.11.0\ntorchaudio==2.11.0\n' > $(VENV)/pair.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-emit-index-url \
		--no-annotate --no-header --upgrade -q -c $(VENV)/pair.txt -o requirements.lock

docs: install  ## the documentation as pages, in build/site
	mkdir -p build/reference
	tar -chf - -C src --exclude='*.flac' --exclude=results codeclab | tar -xf - -C build/reference
	@touch build/reference/codeclab/codecs/__init__.py  # the tool that reads docstrings passes by a folder without one
	$(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

clean:  ## remove what was made here, runs excepted
	rm -rf $(VENV) .venv-metrics build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
