# Each command works on a fresh clone with nothing but Python (>= 3.11) and make on the machine.
#
#   make test        install into .venv if need be, run the tests
#   make test-gpu    the tests that need a CUDA device, with the Python that has torch's build for it: PYTHON=python3
#   make reproduce   install into .venv if need be, train the rows of the digits table and print it
#   make setup       install only
#   make lint        ruff, pyright, and clang-format over the C++ kernels
#   make sanitize    the tests of the C++ kernels under the address and the undefined-behaviour sanitizer (GCC on Linux)
#   make clean       remove .venv, caches and built packages; run folders stay
#
# Another Python: make test PYTHON=python3.12. A part of the tests: make test ARGS="tests/solvers -k order".

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
TORCH := $(shell grep '^torch==' constraints.txt)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup test test-gpu reproduce lint sanitize clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

test-gpu:
	$(PYTHON) -m pytest -m cuda tests/device $(ARGS)

reproduce: $(STAMP)
	$(BIN)/python -m benchmarks reproduce digits $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/clang-format --dry-run --Werror odernn/engines/native/kernels/*.h odernn/engines/native/kernels/*.cpp

sanitize: $(STAMP)
	bash .ci/sanitize $(ARGS)

# The stamp is written last and removed first: an installation that was interrupted leaves none and begins anew. torch goes
# first and by its exact version, or another package would pull in a build of several gigabytes of its own choosing.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "odernn needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	@if [ -f $@ ]; then \
	    echo "==> $(VENV): pyproject.toml or constraints.txt has changed, bringing it up to date"; rm -f $@; \
	else \
	    echo "==> $(VENV): making a virtual environment"; $(PYTHON) -m venv --clear $(VENV); \
	fi
	@echo "==> $(VENV): installing $(TORCH), the largest download"
	@$(PIP_INSTALL) "$(TORCH)"
	@echo "==> $(VENV): installing odernn, what it requires and what its tests and benchmarks require"
	@$(PIP_INSTALL) --editable ".[dev]"
	@touch $@
	@echo "==> $(VENV): ready"

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache *.egg-info
	find . -path ./.git -prune -o -type d -name __pycache__ -exec rm -rf {} +
