# Heliograph. `make` alone lists the targets; each makes what it needs, the virtual environment included.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo smoke chaos soak test check format docs pictures shots lock bench-service bench-detect bench-warehouse bench-app servers clean

help: ## List the targets
	@echo "Heliograph: send and check SMS verification codes, and see how well every channel works."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Options go behind ARGS: make demo ARGS='--fault carrier-drop'"

demo: $(READY) ## Run everything on embedded servers with simulated traffic; no root, no container
	@$(BIN)/heliograph demo $(ARGS)

smoke: $(READY) ## Send 300 verifications through a whole stack and count what arrived everywhere
	@$(BIN)/heliograph smoke $(ARGS)

chaos: $(READY) servers ## Break everything under load and look whether anything was lost; ARGS='--quick' for a taste
	@$(BIN)/heliograph chaos $(ARGS)

soak: $(READY) servers ## Break something every half minute for half an hour; ARGS='--minutes 5' for less
	@$(BIN)/heliograph soak $(ARGS)

test: $(READY) servers ## Run the whole suite on real servers, lint and types included
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -n $${TEST_WORKERS:-2} --dist loadscope --no-loadscope-reorder $(ARGS)

check: $(READY) ## Lint, types, import contracts, documents made from code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/heliograph docs --check

format: $(READY) ## Mend what a machine can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(READY) ## Write the documents that are made from code
	@$(BIN)/heliograph docs

pictures: $(READY) servers ## Draw the pictures of mails in docs/pictures from a seeded past
	@$(BIN)/python -m sandbox.pictures

shots: $(READY) servers ## Photograph every page of the dashboard over the demo's past (ARGS=--help)
	@$(BIN)/python -m sandbox.shots $(ARGS)

lock: ## Renew requirements.lock to the newest versions that fit together
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
	  --quiet --extra sandbox --group dev pyproject.toml -o requirements.lock

bench-service: $(READY) servers ## Measure the service beside the plain way to write one (about four minutes; ARGS=--help)
	@$(BIN)/python -m benchmarks.service $(ARGS)

bench-detect: $(READY) ## Judge the detector on labelled worlds, beside two rules that others use (ARGS=--help)
	@$(BIN)/python -m benchmarks.detection $(ARGS)

bench-warehouse: $(READY) ## Measure the questions people ask at 20 million attempts, and the intake (ARGS=--help)
	@$(BIN)/python -m benchmarks.warehouse $(ARGS)

bench-app: $(READY) servers ## Measure how soon each page of the dashboard is drawn, beside bare pages (ARGS=--help)
	@$(BIN)/python -m benchmarks.app $(ARGS)

servers: ## Install Debian's MariaDB, Redis, Chromium and a Chinese font where they are missing (for tests and pictures)
	@.ci/install-servers

clean: ## Remove the environment and what demos left
	rm -rf $(VENV) .heliograph *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The environment is made anew when what it is made from has changed; a half-made one is not taken for ready.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Heliograph needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)."; \
	    echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "The module venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing the packages of requirements.lock (a minute or two, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)
