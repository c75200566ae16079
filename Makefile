# One command per verb; CI runs the same ones. Assumes Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
PORT ?= 8501
# Where torch comes from; empty: the index that pip uses anyway. On Linux, PyTorch's own CPU index saves gigabytes of CUDA packages.
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what is imported; all there is would take pip a minute.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# One worker more than cores, as some tests wait for processes of their own; one thread a worker.
WORKERS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile
UNIT := tests/unit tests/property tests/test_architecture.py

.PHONY: app test test-unit check bench clean

app: $(VENV)/.app
	$(BIN)/python -m mrl_viz app --port $(PORT) $(if $(filter 1,$(HEADLESS)),--headless)

# What takes longest comes first: then the workers end together.
test: $(VENV)/.browser
	$(WORKERS) tests/browser tests/reference tests/app $(UNIT)

test-unit: $(VENV)/.test
	$(WORKERS) $(UNIT)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.browser
	$(BIN)/python benchmarks/bench_sweep.py
	$(BIN)/python benchmarks/bench_commands.py
	$(BIN)/python benchmarks/bench_pages.py
	$(BIN)/python benchmarks/bench_visitors.py
	$(BIN)/python benchmarks/bench_browser.py
	$(BIN)/python benchmarks/bench_store.py
	$(BIN)/python benchmarks/bench_maps.py
	$(BIN)/python benchmarks/bench_controls.py
	$(BIN)/python benchmarks/bench_evaluate.py --model wordllama
	$(BIN)/python benchmarks/bench_evaluate.py --model all-MiniLM-L6-v2 --limit 250
	$(BIN)/python benchmarks/bench_retrieval.py --no-hnsw
	$(BIN)/python benchmarks/bench_adaptor.py
	$(BIN)/python benchmarks/bench_scale.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

# The stamps make a second run install nothing. torch goes first so that nothing else pulls another build of it.
$(VENV)/.app: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mrl_viz needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(INSTALL) --requirement requirements.txt --editable '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/.app requirements-test.txt
	$(INSTALL) --requirement requirements-test.txt
	touch $@

# A browser where there is none: Playwright's own, else the system's; without one the browser tests skip and say so.
$(VENV)/.browser: $(VENV)/.test
	$(BIN)/python tests/browser/bring_chromium.py
	touch $@
