# Every target works as the first command in a fresh clone: it makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

# Where a shell forbids to keep what Python compiles, each of hundreds of processes compiles all of it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup fmt check test parts tools cluster-test races recordings sim model bench docs demo chart lock

setup: $(STAMP)

# The pip that comes with a Python may need twice as long for the rest. Nothing is compiled that is never imported.
$(STAMP): locks/pip.txt locks/dev.txt locks/build.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r locks/pip.txt
	$(INSTALL) --require-hashes -r locks/dev.txt -r locks/build.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	$(BIN)/reconciler --version
	touch $@

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 tests/unit tests/property tests/house -m "not slow"

# Most tests wait more than they compute, so that two cores do for six at a time. They begin in the order of tests/conftest.py.
test: parts
	$(BIN)/pytest -q -n 6 --dist loadgroup --no-loadscope-reorder tests

# All that tests need: packages are mostly waited for, and meanwhile real parts are built.
parts:
	$(MAKE) --no-print-directory -j2 setup tools

# The real control plane and other real parts, built from their Go modules once and kept outside the clone; that takes
# both cores for eleven minutes, in which no test is slowed down by it.
tools:
	$(PYTHON) -m tests.controlplane.building

# The tests that need the real control plane.
cluster-test: parts
	$(BIN)/pytest -q -n 0 -m cluster tests

# What is made from the code: schemas, and tables in the pages.
docs: setup
	$(BIN)/python -m tests.house.generated

# The races of a push with a daemon that is killed, ten times each over http and over ssh: half an hour.
races: parts
	RECONCILER_TEST_ROUNDS=5 $(BIN)/pytest -q -n 0 tests/cluster/test_races.py

# What the kubelet's own code writes of Pods, made anew; what differs from what is kept is shown, and fails. It compiles
# for minutes.
recordings: setup
	$(BIN)/python -m tests.controlplane.recording
	git diff --exit-code tests/contract/kubelet

# The main job on simulated clusters and a local Git remote; stays up until Ctrl-C.
demo: setup
	$(BIN)/reconciler demo

# The whole daemon in virtual time: RUNS fleets from seeds on all cores, a table of what was done under which fault, and
# some scenarios in many orders of what comes together. SIM_SEED=s replays one fleet with its timeline, and shrinks it if
# it fails; SIM_S=n plays as many of them as fit so many seconds. FIRST is the first seed.
RUNS ?= 20
FIRST ?= 1
sim: setup
ifdef SIM_SEED
	SIM_SEED=$(SIM_SEED) $(BIN)/python -m tests.simulation.fleet --shrink
else ifdef SIM_S
	$(BIN)/python -m tests.simulation.fleet --seconds $(SIM_S) --first $(FIRST)
else
	$(BIN)/python -m tests.simulation.fleet --runs $(RUNS) --first $(FIRST)
	SIM_SEEDS=20 $(BIN)/pytest -q -n 2 tests/simulation
endif

# Every order of events on fleets too large for `make test`: minutes, and gigabytes of states.
model: setup
	$(BIN)/python -m tests.model.search 1 1 1
	$(BIN)/python -m tests.model.search 1 1 1+1 --begun
	$(BIN)/python -m tests.model.search 1 1 2 --begun --reads

# How long the main job takes, and what an idle daemon costs, on the real control plane: half an hour.
bench: parts
	$(BIN)/python -m benchmarks.planner --out docs/planner.md
	$(BIN)/python -m benchmarks.main_job --out docs/benchmarks.md

# What the chart holds of the code and the policies; a test sees that it was run.
chart: setup
	$(BIN)/python charts/generate.py

# The locks carry versions and hashes only, so that any index can serve them.
lock:
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install --quiet uv
	.cache/lock/bin/uv pip compile -q pyproject.toml --universal --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" -o locks/run.txt
	.cache/lock/bin/uv pip compile -q pyproject.toml --group dev --universal --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" -o locks/dev.txt
	.cache/lock/bin/uv pip compile -q --group pip --universal --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" -o locks/pip.txt
	.cache/lock/bin/uv pip compile -q --group build --universal --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" -o locks/build.txt
