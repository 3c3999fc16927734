# Every command of the project; `make` alone lists them. Each installs what it needs first.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Where folds are trained: here, or on the workers of a Dask scheduler (docs/cluster.md).
SCHEDULER ?= $(TALLER_SCHEDULER)
export TALLER_SCHEDULER := $(SCHEDULER)
# Without bytecode on the disk each of hundreds of processes compiles PyTorch and SciPy again.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := .venv/bin/python -m pytest --numprocesses auto --dist loadfile

.PHONY: help setup repro use test verify bench exps cambios predict pizarra ajuste estudio worker lint
help:
	@echo 'make repro     the whole pipeline, or what of it is out of date'
	@echo 'make use DATASET=NAME FROM=FOLDER   your own pictures; ALL=1 adds what takes long'
	@echo 'make predict IMAGE=photo.png   what the trained model sees in a picture'
	@echo 'make pizarra   a page to draw a digit on, which all contestants read; PORT=8001; LAN=1: for'
	@echo '               all phones in a classroom'
	@echo 'make cambios REV=main   metrics, params, plots and pictures against another revision'
	@echo 'make exps      experiments: the metrics and params in which they differ'
	@echo 'make test      the tests, two minutes; make lint: ruff'
	@echo 'make verify    is everything as guaranteed on this machine? 15 minutes'
	@echo 'make bench     how fast, against others: 25 minutes; PARTS="simple_nn repro" for some'
	@echo 'make ajuste    a grid of settings for each network;  make estudio: when pretraining pays'
	@echo 'make worker SCHEDULER=tcp://HOST:8786   this machine trains folds for repro, ajuste and'
	@echo '               estudio that have the same SCHEDULER'
	@echo 'make setup     .venv with what the pipeline needs, which the others install by themselves;'
	@echo '               TORCH=cpu: PyTorch without its libraries for GPUs, from its own index'

# A stamp for each set of extras.
EXTRAS = $(patsubst .venv/.ready-%,[%],$(filter-out .venv/.ready,$@))
.venv/.ready .venv/.ready-test .venv/.ready-bench .venv/.ready-cluster: \
		pyproject.toml constraints.txt taller/common/pins.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: expected Python 3.11 or later, found $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	@echo 'installs into .venv: $(if $(TORCH),PyTorch without its libraries for GPUs,on Linux about 6 GB with the libraries for GPUs that PyTorch brings (TORCH=cpu: without)); some minutes'
	@[ -x .venv/bin/python ] || $(PYTHON) -m venv .venv
	$(if $(TORCH),.venv/bin/python -m pip install --no-compile --no-deps --index-url \
	  https://download.pytorch.org/whl/$(TORCH) --constraint taller/common/pins.txt torch torchvision)
	.venv/bin/python -m pip install --no-compile --constraint constraints.txt \
	  --constraint taller/common/pins.txt --editable '.$(EXTRAS)' # few of 18,000 modules are imported
	@touch .venv/.ready $@

setup: .venv/.ready

# Before the first stage: params.yaml is checked, and the page of plots made to work offline.
repro:
	@echo 'runs what is out of date: MNIST from nothing 6 to 20 minutes on two cores, and 250 MB of disk'
	@$(MAKE) --no-print-directory $(if $(SCHEDULER),.venv/.ready-cluster,setup)
	@.venv/bin/python -m tools.prepare
	.venv/bin/dvc --wait-for-lock repro
	@echo 'the answer: resultados/informe.md'

# Without FROM what is in data/DATASET/raw. ALL=1: with what takes long. NETWORK=resnet18: in place
# of EfficientNet-Lite0, where its weights can be had.
use: $(if $(DATASET),setup)
	@[ -n "$$DATASET" ] || { echo 'usage: make use DATASET=NAME FROM=FOLDER [ALL=1] [NETWORK=resnet18]' >&2; exit 2; }
	@.venv/bin/python -m tools.use $(if $(ALL),--all) $(if $(NETWORK),--network $(NETWORK)) "$$DATASET" $${FROM:+"$$FROM"}

predict: $(if $(IMAGE),setup)
	@[ -n "$$IMAGE" ] || { echo 'usage: make predict IMAGE=photo.png' >&2; exit 2; }
	@.venv/bin/python -m tools.predict "$$IMAGE" # the shell's: a name with spaces stays one name

pizarra: setup
	@.venv/bin/python -m tools.pizarra $(if $(LAN),--host 0.0.0.0) $(if $(PORT),--port $(PORT))

# On standard output Markdown alone, for a pull request's page.
REV ?= main
cambios: setup
	@.venv/bin/python -m tools.changes '$(REV)'
	@.venv/bin/dvc plots diff $(REV) >&2

exps: setup # without the hashes of folders, 39 columns each
	@echo 'live.* is of the experiment itself; where its compare has not run, the other metrics are' \
	  'those that it started from' >&2
	@.venv/bin/dvc exp show --only-changed --drop 'Created|.*/'

test: .venv/.ready-test
	$(PYTEST) tests --ignore tests/slow

# HERE=--here spares the run from nothing where one has just ended here.
verify: .venv/.ready-test
	@command -v qemu-x86_64 >/dev/null || \
	  echo 'verify: no qemu-x86_64 (Debian: apt-get install qemu-user): no processor is emulated' >&2
	.venv/bin/python -m tools.reproduced $(HERE)
	$(PYTEST) --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) tests/slow # DVC often waits

lint: .venv/.ready-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

bench: .venv/.ready-bench
	.venv/bin/dvc --wait-for-lock repro
	@.venv/bin/python -m benchmarks $(PARTS)

# A pipeline of its own, on the data and the pretrained networks that params.yaml asks for.
ajuste estudio: $(if $(SCHEDULER),.venv/.ready-cluster,setup)
	.venv/bin/dvc --wait-for-lock repro download preprocess pretrain
	cd estudio && dvc --wait-for-lock repro $(if $(filter estudio,$@),cobertura mapa,$@)

# A process for each core, pinned as stages are (stages/__init__.py) before NumPy is imported.
worker: $(if $(SCHEDULER),.venv/.ready-cluster)
	@[ -n "$$TALLER_SCHEDULER" ] || { echo 'usage: make worker SCHEDULER=tcp://HOST:8786' >&2; exit 2; }
	.venv/bin/python -c 'import os, sys, stages; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])' \
	  -m distributed.cli.dask_worker "$$TALLER_SCHEDULER" --nworkers=-1 --nthreads 1 \
	  --memory-limit 0 --no-dashboard
