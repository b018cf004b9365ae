# Everything a newcomer needs: `make demo` and `make test`. Windows: see README, "Without make".
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: demo test lint lock bench ray clean

demo: $(VENV)/ready
	$(BIN)/distill demo --out distill-demo

# Files of tests run side by side, the longest first, so that none of them is left for the end (tests/conftest.py). Two things have
# the machine for themselves afterwards: how fast a page draws, which is measured, and a Ray cluster, which never comes up where its
# agents have no core for 15 s. They are looked for in their own files alone: to import all the others takes longer than they do.
# What Python compiles is kept, also for whoever does not want that elsewhere: each of the many processes that tests start would
# compile all of Distill anew. NumPy computes in one thread, as PyTorch does there (tests/conftest.py). pytest ends with 5 where
# none is left: those that have the machine for themselves need Chromium or Ray. What takes hours leaves itself out.
BESIDE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
LEFT_OUT := $(if $(CHROMIUM),, and not browser)
ALONE = $(shell grep -rl --include='test_*.py' 'mark\.alone' tests)
test: export PYTHONDONTWRITEBYTECODE :=
test: export OPENBLAS_NUM_THREADS := 1
test: $(VENV)/ready
	$(BIN)/python -m pytest $(BESIDE) -m "not alone$(LEFT_OUT)"
	$(BIN)/python -m pytest -m "alone$(LEFT_OUT)" $(ALONE) || [ $$? = 5 ]
ifeq ($(CHROMIUM),)
	@echo "There is no Chromium here (apt-get install chromium), so the pages are not tested in a browser."
endif

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# About twenty minutes on two quiet cores; writes docs/benchmarks.md. CORPUS is a folder of recordings, the demo's if not given.
bench: $(VENV)/ready
	$(BIN)/python benchmarks/bench.py $(if $(CORPUS),--corpus "$(CORPUS)")

# For the tests of sweeps on a Ray cluster, which are left out without it. What is pinned stays as it is.
ray: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --constraint requirements.lock -e '.[ray]'

# The environment is built anew whenever the lock or the project's own description changes.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Distill needs Python 3.11 or newer; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Pins everything the ranges in pyproject.toml lead to today. torch is pinned by hand in requirements.in.
lock: $(VENV)/ready
	$(BIN)/pip-compile --quiet --upgrade --extra dev --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --output-file requirements.lock requirements.in pyproject.toml
	sed -i.bak -e 's/+cpu//' requirements.lock && rm requirements.lock.bak

clean:
	rm -rf $(VENV)
