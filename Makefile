# One command per verb; CI runs the same ones. Assumes Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
# One worker a core, one thread a worker.
WORKERS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile
UNIT := tests/unit tests/property tests/test_architecture.py

.PHONY: app test test-unit check bench clean

app: $(VENV)/.app
	$(BIN)/python -m mrl_viz app --port $(PORT) $(if $(filter 1,$(HEADLESS)),--headless)

# The app and the browser come after the rest, alone: they wait for the clock, the others for the processor.
test: $(VENV)/.test
	$(WORKERS) $(UNIT) tests/reference; status=$$?; $(BIN)/python -m pytest tests/app tests/browser && exit $$status

test-unit: $(VENV)/.test
	$(WORKERS) $(UNIT)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python benchmarks/bench_sweep.py
	$(BIN)/python benchmarks/bench_store.py
	$(BIN)/python benchmarks/bench_maps.py
	$(BIN)/python benchmarks/bench_controls.py
	$(BIN)/python benchmarks/bench_evaluate.py
	$(BIN)/python benchmarks/bench_retrieval.py --no-hnsw
	$(BIN)/python benchmarks/bench_adaptor.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

# The stamps make a second run install nothing. torch goes first so that nothing else pulls a larger build of it.
$(VENV)/.app: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mrl_viz needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(shell grep '^torch==' requirements.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/.test: $(VENV)/.app requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@
