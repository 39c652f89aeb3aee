# Everything here works on a fresh clone with python3 (3.11 or newer) and g++: the first target that needs it makes .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROUNDS ?= 500
MODELS := tests/engine/test_model.py tests/engine/test_ragged_model.py tests/engine/test_follower_model.py \
	tests/engine/test_alias_model.py tests/query/test_query_model.py tests/query/test_filter_oracle.py
DATA ?= ../shared/data/dense-minilm-100k-384-angular.hdf5

# Bytecode is kept whatever the environment says: otherwise each of hundreds of processes, servers of tests and the like,
# compiles all that it imports.
export PYTHONDONTWRITEBYTECODE =

NATIVE := $(shell find native -type f \( -name '*.cpp' -o -name '*.h' -o -name 'CMakeLists.txt' \) 2>/dev/null)
NATIVE_STYLED := $(filter %.cpp %.h,$(NATIVE)) $(shell find vecstore -name '*.cu' -o -name '*.cuh')

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types tidy bench proto verify-proto clients console verify-web format torture races clean

help:
	@echo "make demo          start a server, load 4,000 texts, then documents, ask it questions, stop"
	@echo "make test          every test"
	@echo "make check         lint, types, layers, formats, generated code, tidiness"
	@echo "make bench         measure recall, rate and latency beside peers (DATA=file.hdf5)"
	@echo "make proto         regenerate vecstore/pb; make verify-proto says whether it is current"
	@echo "make clients       regenerate the TypeScript client's types; make console builds the web console; both need Node"
	@echo "make format        rewrite the sources in the project's format"
	@echo "make torture       crashes and models for longer (ROUNDS=$(ROUNDS))"
	@echo "make races         look for races in the kernels of GPUs, compiled for the processor, by ThreadSanitizer"
	@echo "make clean         remove what was built"

# A virtual environment with the build requirements, so that rebuilding the extension needs no isolation and is incremental.
$(VENV)/.made: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "vecstore needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "this Python lacks its venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@command -v $${CXX:-g++} >/dev/null \
	  || echo "no C++ compiler found: building without the native extension (on Debian and Ubuntu: apt-get install g++)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])') \
	  "cmake>=3.24" ninja
	@touch $@

# What the package needs, once for users and once for developers; then the package itself, editable.
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
NEEDS = $(BIN)/python tools/requirements.py
ITSELF = $(PIP) --no-build-isolation --no-deps --editable .
# The C++ is compiled while packages come. The wheel is not needed, its objects are: ITSELF builds in the same folder, and
# tells of what fails.
AHEAD = $(BIN)/python -m pip wheel --no-build-isolation --no-deps --wheel-dir build/ahead . >/dev/null 2>&1
# Where the C++ build fails, pip installs the package without its extension and says nothing. Users have a working package
# and are told; for developers, whose tests of native code would be skipped, it is an error where there is a compiler.
HAS_NATIVE = $(BIN)/python -c "import vecstore.kernels._native" 2>/dev/null
HAS_COMPILER = command -v $${CXX:-g++} >/dev/null
$(VENV)/.users: $(VENV)/.made $(NATIVE)
	$(NEEDS) all demo > $(VENV)/users.txt
	$(PIP) --requirement $(VENV)/users.txt
	$(ITSELF)
	@$(HAS_NATIVE) || echo "vecstore is installed WITHOUT its native extension: all works, slower (for it: a C++20 compiler, make clean, and again)"
	@touch $@

$(VENV)/.developers: $(VENV)/.made $(NATIVE)
	$(NEEDS) dev > $(VENV)/developers.txt
	$(AHEAD) & $(PIP) --no-compile --requirement $(VENV)/developers.txt; came=$$?; wait; exit $$came  # most of it is never imported
	$(ITSELF)
	@$(HAS_NATIVE) || ! $(HAS_COMPILER) \
	  || { echo "the native extension is NOT built, though there is a compiler; its build says:"; \
	       $(ITSELF) --verbose --verbose 2>&1 | grep -iE -A4 "error|failed" | tail -n 40; exit 1; }
	@touch $@ $(VENV)/.users

demo: $(VENV)/.users
	$(BIN)/python -m vecstore.cli.demo
	$(BIN)/python -m vecstore.cli.demo_documents

# Half as many again as there are processors, since tests wait for disks and for each other's processes; at most 4. (`auto`
# of xdist would be one for two hyperthreads.)
WORKERS = $(BIN)/python -c "import os; print(min(4, 3 * (os.cpu_count() or 1) // 2))"
# Several processes test at once: threads of BLAS and OpenMP that spin while they wait would take their cores.
test: export OPENBLAS_NUM_THREADS = 1
test: export OMP_WAIT_POLICY = passive
test: $(VENV)/.developers
	$(BIN)/python -m pytest -q --numprocesses $$($(WORKERS)) --dist worksteal

# Beside each other: mypy takes longer than all others together.
check: $(VENV)/.developers
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target types verify-proto verify-web lint tidy

lint: $(VENV)/.developers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@$(BIN)/clang-format --dry-run -Werror $(NATIVE_STYLED)

types: $(VENV)/.developers
	$(BIN)/mypy --strict vecstore

tidy: $(VENV)/.developers
	$(BIN)/python -m pytest -q tests/test_tidy.py tests/test_project.py

bench: $(VENV)/.developers
	@mkdir -p bench/results
	@test -f $(DATA) || { echo "no $(DATA): name an ann-benchmarks file with DATA=, or make one: $(BIN)/python -m bench synthesize FILE"; exit 1; }
	$(BIN)/python -m bench run $(DATA) --via inproc --peers --out bench/results/run.jsonl
	$(BIN)/python -m bench run $(DATA) --via grpc --clients 16 --out bench/results/run.jsonl
	$(BIN)/python -m bench plot bench/results/run.jsonl

proto: $(VENV)/.developers
	$(BIN)/python tools/proto.py

verify-proto: $(VENV)/.developers
	$(BIN)/python tools/proto.py --check

clients: $(VENV)/.developers
	$(BIN)/python tools/clients.py

console: $(VENV)/.developers
	$(BIN)/python tools/console.py

verify-web: $(VENV)/.developers
	$(BIN)/python tools/clients.py --check
	$(BIN)/python tools/console.py --check

format: $(VENV)/.developers
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(NATIVE_STYLED)

torture: $(VENV)/.developers
	ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -q --timeout 7200 tests/crash $(MODELS)
	ROUNDS=$$(($(ROUNDS) / 20)) $(BIN)/python -m pytest -q --timeout 7200 tests/rot  # each in 16 kinds, up to seven ways

races: $(VENV)/.developers
	TSAN_OPTIONS=ignore_noninstrumented_modules=1 LD_PRELOAD=$$($${CXX:-g++} -print-file-name=libtsan.so) \
	  OPENBLAS_NUM_THREADS=1 setarch -R $(BIN)/python -m pytest -q --capture no --timeout 1800 \
	  tests/kernels/test_device_*.py -k "device and not numpy and not descending and not shuffled"

clean:
	rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
