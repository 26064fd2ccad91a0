# Everything a person runs. CI runs the same targets.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?= 60
SEED ?= 7
LABELS ?= 1000000
ROUNDS ?= 2
MINUTES ?= 20
# Tests with servers wait more than they work (half of their time), so four processes keep two cores busy.
JOBS ?= 4
DAYS ?= 1 40 400
SCHEDULES ?= 20000
# Containers often turn off Python's cache of compiled modules; every program that a test starts would compile anew.
test test-unit test-clock test-nightly: export PYTHONDONTWRITEBYTECODE =
# The tests of a file stay in one process: what they share is made once. Files begin in the order of tests/watchdog.py.
PYTEST = $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo up test test-unit test-clock test-nightly check generate golden lock bench pairs sim fuzz chaos upgrade-test clean install

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(VENV)/.runtime  ## Make .venv with what Floorwatch needs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Floorwatch needs Python 3.11 or newer: make … PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime  ## A simulated floor for SECONDS=60: three tables, an alert, metrics
	$(BIN)/floorwatch demo --seconds $(SECONDS) --seed $(SEED)

up: $(VENV)/.runtime  ## Start the embedded stack and keep it up
	$(BIN)/floorwatch up

test: $(VENV)/.dev  ## All tests; optional servers that are missing skip with a reason
	$(PYTEST)

test-unit: JOBS = 3
test-unit: $(VENV)/.dev  ## The quick tests without servers (docs/testing.md says what each takes)
	$(PYTEST) -m unit

test-clock: $(VENV)/.dev  ## Tests as they will run in DAYS="1 40 400" days (needs faketime)
	for days in $(DAYS); do echo "in $$days days"; faketime -f "+$${days}d" $(PYTEST) -m "not fixed_clock" || exit 1; done

test-nightly: $(VENV)/.dev  ## What takes hours: all tests whole, SCHEDULES=20000 simulated, every clock, fuzz with COUNT=100000, chaos for MINUTES=20
	FLOORWATCH_NIGHTLY=1 SIMULATION_SCHEDULES=$(SCHEDULES) $(PYTEST)
	$(MAKE) test-clock
	$(MAKE) fuzz
	$(MAKE) chaos

check: $(VENV)/.dev  ## Lint, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/floorwatch generate --check

generate: $(VENV)/.dev  ## Write contract, boards, rules and metric reference
	$(BIN)/floorwatch generate

golden: $(VENV)/.dev  ## Write golden states of formats that have a new version (docs/upgrading.md)
	$(BIN)/python -m tests.golden.fingerprints

upgrade-test: EVENTS = 20000
upgrade-test: $(VENV)/.dev  ## Roll workers from the deployed version to this one on a real Kafka, EVENTS=20000, then compare every row
	UPGRADE_EVENTS=$(EVENTS) $(BIN)/python -m pytest -q tests/kafka/test_upgrade.py tests/golden

bench: $(VENV)/.dev  ## Workload W against the peers on real Kafka: LABELS=1000000 ROUNDS=2 BENCH="--skip flat"
	$(BIN)/python -m bench --labels $(LABELS) --rounds $(ROUNDS) $(BENCH)

pairs: LABELS = 60000
pairs: $(VENV)/.dev  ## CPU per event and state per row against another revision, in pairs: BASE=24565ae PAIRS=5 LABELS=60000 BENCH="--whole"
	$(BIN)/python -m bench.pairs $(or $(BASE),24565ae) . --pairs $(or $(PAIRS),5) --labels $(LABELS) $(BENCH)

sim: SCALE = 1
sim: $(VENV)/.runtime  ## Seventeen situations, promised against measured: SCALE=1 (an hour on two cores) SEED=7 KEEP=FILE to go on later
	$(BIN)/floorwatch sims --seed $(SEED) --scale $(SCALE) $(if $(KEEP),--keep $(KEEP))

chaos: SEED = 1
chaos: $(VENV)/.runtime  ## Shake workers on a real Kafka for MINUTES=20 SEED=1, then compare every row
	$(BIN)/floorwatch chaos --minutes $(MINUTES) --seed $(SEED)

fuzz: COUNT = 100000
fuzz: $(VENV)/.dev  ## COUNT=100000 generated events and requests through gateway, stages and every renderer, SEED=7
	$(BIN)/python -m tests.fuzz --count $(COUNT) --seed $(SEED)

lock: $(VENV)/bin/python  ## Pin dependencies with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml build-requirements.in -o requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
	  --custom-compile-command "make lock" --extra dev pyproject.toml build-requirements.in -o requirements-dev.lock

clean:  ## Remove what was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
