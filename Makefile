# make repro: set up and run the pipeline.  make test: set up and pass the tests.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup repro test estudio lint
help:
	@echo 'make setup   a virtual environment in .venv with the pinned requirements'
	@echo 'make repro   setup, then dvc repro: the whole pipeline, or what of it is out of date'
	@echo 'make test    setup, then the tests'
	@echo 'make estudio the study of sources and trained layers, as a queue of DVC experiments'
	@echo 'make lint    setup, then ruff'

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: expected Python 3.11 or later, found $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --constraint constraints.txt --editable '.[test]'
	@touch $@

repro: setup
	dvc repro

test: setup
	python -m pytest

estudio: setup
	python -m tools.study

lint: setup
	ruff check .
	ruff format --check .
