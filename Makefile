# GNU make and a POSIX shell; everything is made in .venv from the hashed requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Another environment that happens to be active must not leak into this one.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME CONDA_PREFIX
export UV_PYTHON := $(BIN)/python
export UV_NO_PROGRESS := 1
export UV_LINK_MODE := copy
# Where the machine has certificates of its own, they count, as they do for pip: a company's proxy may need them.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := 1
endif

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv run test test-all bench package screenshot chart lock clean

help:
	@echo "make run         start the application with demo data"
	@echo "make test        check and test everything (test-all: with the full counts)"
	@echo "make bench       run the benchmarks, print a table and write bench.json"
	@echo "make package     build the one-folder application into dist/"
	@echo "make screenshot  take the screenshot of the README"
	@echo "make chart       renew the chart's files that are made from the application's tables"
	@echo "make venv        make the environment only"
	@echo "make lock        renew requirements.lock from pyproject.toml"
	@echo "make clean       remove all that is made, the environment too"

venv: $(READY)
	@:

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "HITL Desktop needs Python 3.11 or later: name one, as in 'make PYTHON=python3.12 $(or $(MAKECMDGOALS),venv)'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make environments: install Debian's python3-venv." >&2; exit 1; }
	@if [ -e .venv ] && [ "$$($(BIN)/python -V 2>/dev/null)" != "$$($(PYTHON) -V)" ]; then rm -rf .venv; fi
	@rm -f $(READY)
	@if ! [ -x $(BIN)/uv ]; then \
	  echo "Making .venv"; \
	  $(PYTHON) -m venv .venv \
	  && awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock > .venv/uv.txt \
	  && $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r .venv/uv.txt; \
	fi
	@$(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

run: venv
	@$(BIN)/hitl-desktop demo --open

test: venv
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@contracts=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$contracts"; exit 1; }
	@$(BIN)/pytest --quiet

test-all: export HITL_TEST_FULL = 1
test-all: test

bench: venv
	@$(BIN)/python tests/benchmarks/run.py

package: venv
	@$(BIN)/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build packaging/hitl-desktop.spec
	@$(BIN)/python packaging/check_build.py dist/hitl-desktop/hitl-desktop

screenshot: venv
	@$(BIN)/python packaging/screenshot.py

chart: venv
	@$(BIN)/python packaging/chart_files.py

lock: venv
	@$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url --universal \
	  --python-version 3.11 --no-header --quiet --output-file requirements.lock

clean:
	@rm -rf .venv build dist bench.json .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
