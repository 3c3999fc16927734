# make repro: set up and run the pipeline.  make test: set up and pass the tests.  make verify: what
# is guaranteed, on this machine.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Where the fits of repro, ajuste and estudio run: here, or on the workers of a Dask scheduler.
SCHEDULER ?= $(TALLER_SCHEDULER)
export TALLER_SCHEDULER := $(SCHEDULER)

.PHONY: help setup repro test verify bench deps exps ajuste estudio diff predict lint worker
help:
	@echo 'make setup   a virtual environment in .venv with the pinned requirements'
	@echo 'make repro   setup, then dvc repro: the whole pipeline, or what of it is out of date'
	@echo 'make test    setup, then the tests'
	@echo 'make verify  the whole pipeline anew, emulated processors, kills, bad input: is it as guaranteed?'
	@echo 'make bench   how fast, against others and the machine: 25 minutes; PARTS="limit whole" for some'
	@echo 'make deps    after an import or a pin was changed: the code lines and pins in dvc.yaml'
	@echo 'make exps    the experiments: every metric, and the params that differ'
	@echo 'make ajuste  a grid of the same size for every model: learning rate, epochs, a knob of its own'
	@echo 'make estudio the study of sources and trained layers, as a queue of DVC experiments'
	@echo 'make worker SCHEDULER=tcp://HOST:8786   this machine computes the fits of repro, ajuste and'
	@echo '             estudio that are given the same SCHEDULER'
	@echo 'make diff REV=main  metrics and plots, here and in another revision'
	@echo 'make lint    setup, then ruff'
	@echo 'make predict IMAGE=photo.png   what the trained model sees in a picture'

setup: .venv/.ready .dvc/plots/page.offline.html

# The page of dvc plots show, with the drawing library inside: it opens without internet.
.dvc/plots/page.offline.html: .dvc/plots/page.html tools/plots_page.py .venv/.ready
	.venv/bin/python -m tools.plots_page

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: expected Python 3.11 or later, found $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --constraint constraints.txt --editable '.[test]'
	@touch $@

repro: setup
	@.venv/bin/python -m tools.check_params
	.venv/bin/dvc --wait-for-lock repro # another one may look at the folder for a moment
	@echo "the answer, in Spanish: resultados/informe.md"

PYTEST := .venv/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
# What takes longest starts first: pytest would drop a file that a folder behind it has, too.
LONGEST := $(foreach name,finetune pretrain cli figures journal,tests/test_$(name).py)
SLOWEST := $(foreach name,bits kills experiments pipeline sharing honest_stages own_pictures,verification/test_$(name).py)

test: setup
	$(PYTEST) $(LONGEST) $(filter-out $(LONGEST),$(wildcard tests/test_*.py))

# HERE=--here spares the second whole run where the first one, from nothing, has just ended here.
verify: setup
	@command -v qemu-x86_64 >/dev/null || \
	  echo 'verify: no qemu-x86_64 here (Debian: apt-get install qemu-user): no processor is emulated' >&2
	.venv/bin/python -m tools.reproduced $(HERE)
	$(PYTEST) $(SLOWEST) $(filter-out $(SLOWEST),$(wildcard verification/test_*.py))

# What others need is installed for this alone.
bench: .venv/.ready-bench
	.venv/bin/dvc --wait-for-lock repro # the data, the pretrained network, and what `whole` finds done
	@.venv/bin/python -m benchmarks $(PARTS)

.venv/.ready-bench: .venv/.ready
	.venv/bin/python -m pip install --constraint constraints.txt --editable '.[bench]'
	@touch $@

deps: setup
	.venv/bin/python -m tools.code_deps
	.venv/bin/python -m tools.pins

exps: setup
	@.venv/bin/python -m tools.exps

# On the data and the pretrained network that params.yaml asks for now.
ajuste: setup
	.venv/bin/dvc repro preprocess pretrain
	.venv/bin/python -m tools.tune

estudio: setup
	.venv/bin/python -m tools.study

worker: $(if $(SCHEDULER),setup)
	@[ -n "$$TALLER_SCHEDULER" ] || { echo 'usage: make worker SCHEDULER=tcp://HOST:8786' >&2; exit 2; }
	.venv/bin/python -m tools.worker "$$TALLER_SCHEDULER"

REV ?= main
diff: setup # without --no-path the name of the file takes 25 of 80 columns
	.venv/bin/dvc metrics diff --no-path $(REV)
	.venv/bin/dvc plots diff $(REV)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# $$IMAGE is the shell's: make exports it, and a name with spaces stays one name.
predict: $(if $(IMAGE),setup)
	@[ -n "$$IMAGE" ] || { echo 'usage: make predict IMAGE=photo.png' >&2; exit 2; }
	@.venv/bin/python -m tools.predict "$$IMAGE"
