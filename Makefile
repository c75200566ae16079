# One command per verb; CI runs the same ones. Assumes Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test test-unit check bench clean

app: $(VENV)/.app
	$(BIN)/python -m mrl_viz app --port $(PORT) $(if $(filter 1,$(HEADLESS)),--headless)

test: $(VENV)/.test
	$(BIN)/python -m pytest

test-unit: $(VENV)/.test
	$(BIN)/python -m pytest tests/unit tests/property tests/test_architecture.py

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python benchmarks/bench_sweep.py
	$(BIN)/python benchmarks/bench_store.py
	$(BIN)/python benchmarks/bench_maps.py
	$(BIN)/python benchmarks/bench_controls.py
	$(BIN)/python benchmarks/bench_evaluate.py

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
