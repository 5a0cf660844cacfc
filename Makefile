# `make demo` and `make test` set up everything they need; `make check` is what CI runs.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The first Python that runs and is new enough; `make test PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$name" && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq -c constraints.txt
BASE := $(VENV)/.base-installed
STAMP := $(VENV)/.installed
# Two processes: the tests are made for small machines.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)
# How far `make fuzz` goes. A failure prints the SEED that finds it again.
COMMANDS ?= 100000
SEED ?=
PROFILE ?= fuzz

.PHONY: help demo setup setup-base setup-pcsc try-pcsc fmt lint type test fuzz fuzz-card coverage pythons other-pythons package bench bench-shown docs docs-check check pins clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(BASE) ## a terminal meets a card, in seconds: base install only, no root, no compiler
	$(BIN)/cardbench run validation --seed 1

setup: $(STAMP) ## make the virtual environment with everything for development

setup-base: $(BASE) ## make the virtual environment with the base install only

$(BIN)/python:
	@tools/make-venv "$(PYTHON)" $(VENV)

$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing cardbench into $(VENV) …"
	@$(PIP) -e .
	@touch $@

# Dependency groups came with pip 25.1.
$(STAMP): pyproject.toml constraints.txt $(BASE)
	@echo "installing the development tools into $(VENV) …"
	@$(PIP) --upgrade 'pip>=25.1'
	@$(PIP) -e . --group dev
	@touch $@

setup-pcsc: $(STAMP) ## get what PC/SC needs: Debian packages (as root or with sudo; NO_APT=1 forbids) and pyscard
	@tools/setup-pcsc $(BIN)/python

# Where it cannot be had, the tests run without it and name what is missing; CI wants it all.
try-pcsc: $(STAMP)
	@tools/setup-pcsc $(BIN)/python || [ -z "$${CI:-}" ]

fmt: $(STAMP) ## format and mend what can be mended
	-$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lint: $(STAMP) ## ruff, formatting, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: $(STAMP) ## mypy, strict
	$(BIN)/mypy -p cardbench
	$(BIN)/mypy tools
	cd benchmarks && MYPYPATH=../src:../tools ../$(BIN)/mypy --config-file ../pyproject.toml .

test: $(STAMP) try-pcsc ## all tests, on one Python
	$(PYTEST)

fuzz: fuzz-card ## 100,000 commands to the Calypso card and its model (COMMANDS=, SEED=), then all property tests, long
	HYPOTHESIS_PROFILE=$(PROFILE) $(PYTEST) -m hypothesis

fuzz-card: $(STAMP) ## its first part alone: the card against its model
	$(BIN)/python tools/fuzz_card.py --commands $(COMMANDS) $(if $(SEED),--seed $(SEED))

coverage: $(STAMP) try-pcsc ## all tests with branch coverage; each room has a floor
	PYTHONPATH=tools $(PYTEST) -p room_floors -p unexpected_skips -p command_coverage --cov --cov-report=term

pythons: $(STAMP) ## the quick tests on each supported Python of this machine
	$(BIN)/python tools/pythons.py test

# The check's full test run is on one of them already.
other-pythons: $(STAMP)
	$(BIN)/python tools/pythons.py test --others

package: $(STAMP) ## build sdist and wheel, install the wheel in an empty environment, use it there
	$(PYTEST) -m package

bench: $(STAMP) try-pcsc ## measure, each thing beside a reference in the same run; fails below the floors
	@failed=; for each in validation wallet pcsc; do \
		PYTHONPATH=tools $(BIN)/python benchmarks/$$each.py || failed="$$failed $$each"; done; \
	if [ -n "$$failed" ]; then echo "below the floor, or not measured:$$failed" >&2; exit 1; fi

bench-shown: $(STAMP) ## measure and show, whatever the numbers: a busy machine must not fail a change
	-@$(MAKE) --no-print-directory bench

docs: $(STAMP) ## draw the pictures of the documentation and write its generated pages anew
	$(BIN)/python tools/rooms_picture.py
	$(BIN)/python tools/command_pages.py
	$(BIN)/python tools/name_map.py
	$(BIN)/python tools/run_picture.py

docs-check: $(STAMP) ## fail if a picture or generated page of the documentation is not up to date
	$(BIN)/python tools/rooms_picture.py --check
	$(BIN)/python tools/command_pages.py --check
	$(BIN)/python tools/name_map.py --check
	$(BIN)/python tools/run_picture.py --check

# The full test run comes last, so that its summary closes the log.
check: lint type docs-check bench-shown other-pythons coverage ## everything that CI needs

pins: $(STAMP) ## write constraints.txt anew: the newest versions that resolve on every supported Python
	$(BIN)/python tools/pins.py

clean: ## remove what the targets above made
	rm -rf $(VENV) .venv-3.* build dist .coverage* htmlcov .mypy_cache .pytest_cache .ruff_cache .hypothesis
