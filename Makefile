# make repro: set up and run the pipeline.  make test: set up and pass the tests.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup repro test lint predict
help:
	@echo 'make setup   a virtual environment in .venv with the pinned requirements'
	@echo 'make repro   setup, then dvc repro: the whole pipeline, or what of it is out of date'
	@echo 'make test    setup, then the tests'
	@echo 'make lint    setup, then ruff'
	@echo 'make predict IMAGE=photo.png   read a handwritten digit with the trained model'

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

lint: setup
	ruff check .
	ruff format --check .

# $$IMAGE is the shell's: make exports it, and a name with spaces stays one name.
predict: $(if $(IMAGE),setup)
	@[ -n "$$IMAGE" ] || { echo 'usage: make predict IMAGE=photo.png' >&2; exit 2; }
	@python -m stages.predict "$$IMAGE"
