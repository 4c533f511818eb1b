# Carina: one command sets up and runs, one command checks. Every target makes its own environment in .venv first.
# Needs Python 3.11 or newer, make and a network for the packages; PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2
FILMS ?= ../shared/data
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Libraries that start a thread a core would fight over two cores with the test processes.
export OMP_NUM_THREADS ?= 1
# The theme announces its successor on every build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check format bench docs docs-serve model clean

help:  ## Name the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch first and alone, spelled exactly so: with other requirements beside it the resolver may choose a build for
# graphics cards, which is several gigabytes larger.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[train,study,share,texture,pacs,postgres,s3,web,redis,report,dev,docs]'
	@touch $@

demo: $(READY)  ## A synthetic hospital to a cohort, a short training, its report, and a page of films, in demo/
	@rm -rf demo
	PYTHON="$(abspath $(BIN))/python" bash scripts/demo.sh

test: $(READY)  ## The fast suite and the examples in the docstrings (two processes; JOBS=4 for four)
	$(BIN)/python -m pytest -n $(JOBS) --doctest-modules tests src

test-slow: $(READY)  ## Long checks on the real films in ../shared/data; they skip where that is absent
	$(BIN)/python -m pytest -n $(JOBS) -m slow tests

check: $(READY)  ## Format, lint, types, layers, generated pages, documentation, the viewer as it is built
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/mkdocs build --strict --quiet
	PYTHON="$(abspath $(BIN))/python" bash scripts/build_viewer.sh --check

format: $(READY)  ## Format and fix what can be fixed, write the generated pages again
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python scripts/generate_docs.py

bench: $(READY)  ## Benchmarks, one script a figure, on the films in FILMS
	PYTHON="$(abspath $(BIN))/python" bash scripts/bench.sh $(FILMS)

docs: $(READY)  ## The documentation, in site/
	$(BIN)/python scripts/generate_docs.py
	$(BIN)/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

docs-serve: $(READY)  ## The documentation on this machine, rebuilt as you write
	$(BIN)/mkdocs serve

model: $(READY)  ## Train the shipped models again on the films in FILMS; resumable, up to 150 minutes on two cores
	PYTHON="$(abspath $(BIN))/python" bash scripts/model.sh $(FILMS)

clean:  ## Remove what was built; .venv stays
	rm -rf build dist site demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
