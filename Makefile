# All targets do their own set-up, in .venv: they need python3 and a package registry. What judges the web page comes
# from npm: without it, those tests are skipped, and so is their measurement.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: test coverage demo bench release release-tools clean

test: $(VENV)/.ready $(VENV)/web/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist loadgroup

# Apart from the tests: it takes a quarter longer, and on Python 3.11 it failed by chance where threads started at once.
coverage: $(VENV)/.ready $(VENV)/web/.ready
	$(BIN)/pytest -n auto --dist loadgroup --cov --cov-report=term

demo: $(VENV)/.ready
	$(BIN)/python examples/demo.py

bench: $(VENV)/.ready $(VENV)/web/.ready
	$(BIN)/python -m benchmarks.build
	$(BIN)/python -m benchmarks.linux
	$(BIN)/python -m benchmarks.flash
	$(BIN)/python -m benchmarks.layout
	$(BIN)/python -m benchmarks.fleet
	$(BIN)/python -m benchmarks.changes
	$(BIN)/python -m benchmarks.web

# The sdist and the wheel, in dist: the same bytes from the same commit, with tools that are pinned by their hashes.
release:
	PYTHON=$(PYTHON) .ci/release

release-tools: $(VENV)/.ready
	$(BIN)/uv pip compile --no-config --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	  --custom-compile-command "make release-tools" --group release -o .ci/release.txt

# The date of .ready says for which pyproject.toml the environment was made.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e ".[sim,watch,completion,sbom,bundle]" --group test
	touch $@

# What tests/web/package-lock.json pins, in .venv/web/node_modules.
$(VENV)/web/.ready: tests/web/package.json tests/web/package-lock.json | $(VENV)/.ready
	if command -v npm >/dev/null; then \
	  mkdir -p $(@D) && cp $^ tests/web/.npmrc $(@D) && npm ci --prefix $(@D) --loglevel=error && touch $@; \
	fi

clean:
	rm -rf $(VENV) .venv-release dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
