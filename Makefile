# `make demo` and `make test` set up everything they need; `make check` is what CI runs.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e . --group dev
	@touch $@

setup: $(STAMP) ## make the virtual environment with everything for development

lint: $(STAMP) ## ruff, formatting, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

fmt: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff check --fix-only . || true
	$(BIN)/ruff format .

type: $(STAMP) ## mypy, strict
	$(BIN)/mypy -p cardbench
