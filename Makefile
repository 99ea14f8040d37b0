# `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := src enclave/src tests bench

.PHONY: setup demo test check workflows reproducible conformance fuzz format lint types lock bench differential differences clean pictures

setup: $(READY)

# One locked install: hashes of every package, and nothing beside the lock (--no-deps: to a requirement with an extra, pip
# would prefer a version newer than the locked one, and then refuse it), then this repository itself without the network.
$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# ARGUMENTS=--keep leaves the simulated world running afterwards.
demo: setup
	$(BIN)/python -m twinproof_devnet demo $(ARGUMENTS)

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(MAKE) --no-print-directory workflows
	$(BIN)/python -m pytest

# The workflows and the action (security, then their schema) and the Dockerfile. Nothing is fetched.
workflows: setup
	$(BIN)/zizmor --offline --quiet --persona pedantic .github/workflows action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	$(BIN)/hadolint enclave/Dockerfile

# The enclave's wheel of this commit, built from two clones at other paths and times: the same bytes, or exit 4.
reproducible: setup
	$(BIN)/twinproof release wheel

# Every case of a new conformance corpus, and any other verifier with VERIFIER="CMD ...": tests/conformance/README.md.
VERIFIER ?= $(BIN)/python -m twinproof.conformance
conformance: setup
	@directory=$$(mktemp -d) && $(BIN)/python -m twinproof_devnet corpus $$directory/corpus && \
	  $(BIN)/python tests/conformance/run.py --verifier "$(VERIFIER)" --stream --passes 2 $$directory/corpus; \
	  code=$$?; rm -rf $$directory; exit $$code

# A coverage-guided fuzzer over every reader of untrusted bytes, SECONDS each; the bounded run is part of `make check`.
SECONDS ?= 60
fuzz: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/fuzz.txt
	$(BIN)/python tests/fuzz/longer.py --seconds $(SECONDS) $(TARGETS)

lint: setup
	$(BIN)/ruff check $(SOURCES)

types: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Versions move only here. The lock names no index, so it works behind any mirror.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --extra chain --extra dask --extra devnet --extra release --extra second-opinion --extra sigstore --extra web pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  requirements/fuzz.in -o requirements/fuzz.txt

# Minutes; writes docs/BENCHMARKS.md. ARGUMENTS="--only quotes --rounds 5" prints one scenario instead.
bench: setup
	$(BIN)/python -m bench $(ARGUMENTS)

# The verifier against dcap-qvl over about N generated pieces of evidence, from another seed when one is given.
N ?= 1000000
differential: setup
	TWINPROOF_DIFFERENTIAL=$(N) TWINPROOF_DIFFERENTIAL_SEED=$(SEED) \
	  $(BIN)/python -m pytest --timeout 0 tests/dcap/test_differential_*.py

# The counts of the usual run, written into docs/dcap-differences.md.
differences: setup
	PYTHONPATH=tests $(BIN)/python -W ignore -m differential.table

# The pictures of the documents, taken of a report of the simulated world. Needs Chromium.
pictures: setup
	PYTHONPATH=tests $(BIN)/python tests/pictures.py

clean:
	rm -rf $(VENV) build dist
