# Two commands do everything: `make run` and `make test`. The others are their pieces.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup run test check bench fmt lock

setup: $(VENV)/.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip compiles on one core; this takes all.
define install
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $(1)
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
endef

$(VENV)/.installed: requirements.lock | $(BIN)/python
	$(call install,requirements.lock)
	@touch $@

# The second lock holds all of the first.
$(VENV)/.installed-dev: requirements-dev.lock | $(BIN)/python
	$(call install,requirements-dev.lock)
	@touch $(VENV)/.installed $@

run: setup
	@exec $(BIN)/python manage.py serve

test: $(VENV)/.installed-dev
	@exec $(BIN)/python -m tests

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	GANDER_DATA_DIR=$(VENV)/check $(BIN)/mypy
	$(BIN)/lint-imports
	GANDER_DATA_DIR=$(VENV)/check $(BIN)/python manage.py makemigrations --check --dry-run
	GANDER_DATA_DIR=$(VENV)/check GANDER_BASE_URL=https://gander.example.org $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(VENV)/.installed-dev
	@exec $(BIN)/python -m benchmarks

fmt: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs uv. The lock files hold hashes and no index.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --group dev -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-dev.lock
