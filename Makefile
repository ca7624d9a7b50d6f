# Two commands do everything on a fresh machine: `make run` and `make test`. `make help` lists the rest.
# The system's own interpreter first: it is built with all optimisations and gets the system's security updates.
PYTHON ?= $(shell for each in /usr/bin/python3 python3; do $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SPACE  ?= run
# A test waits for half of its time: for the disk, for a server to start, for what must not happen.
JOBS   ?= $(shell n=$$(nproc 2>/dev/null || echo 1); test $$n -lt 4 && expr 2 \* $$n || echo 8)

# Moved, copied or left behind by its interpreter, an environment does not run the code of this folder: it is made anew.
OURS   := import gateway, os, sys; sys.exit(not os.path.samefile(gateway.__path__[0], "gateway"))
$(shell test ! -e $(READY) || $(BIN)/python -Pc '$(OURS)' 2>/dev/null || rm -f $(READY))

.DEFAULT_GOAL := help
.PHONY: help setup compiled system run test check conformity evidence bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: compiled ## create .venv with the locked dependencies

$(READY): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh deploy/environment.sh $(VENV)

# Where nobody may write beside the code (the user of a service, PYTHONDONTWRITEBYTECODE), each command compiled it anew.
compiled: $(READY)
	@$(BIN)/python -m compileall -q policies hprim directory mailboxes gateway tests

system: ## install the Debian packages the real-client tests use (root), or say what is missing
	@sh deploy/system-packages.sh test

run: compiled ## start two operators on loopback, send a first exchange A to B to A, keep serving
	@$(BIN)/caducee space --dir $(SPACE) --demo

test: compiled system ## run every test
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --junitxml=build/results.xml $(PYTEST)

check: $(READY) ## ruff, mypy --strict, import direction
	@$(BIN)/ruff check .
	@$(BIN)/ruff check --quiet --preview --select PLW1514 .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_import_direction.py

conformity: $(READY) ## build docs/conformity.md from the code and the tests
	@$(BIN)/python -m tests.conformity

evidence: $(READY) ## each requirement with its source and what its tests said in the last `make test`
	@$(BIN)/python -m tests.conformity_results $(RESULTS)

bench: $(READY) ## figures beside Postfix and Dovecot, in one run
	@sh deploy/system-packages.sh bench
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bench/requirements.lock
	@$(BIN)/python bench/side_by_side.py
	@$(BIN)/python bench/large_at_once.py
	@$(BIN)/python bench/imap_compare.py $${BENCH_DIR:-.bench}/imap 10000 3

lock: ## resolve requirements.lock again (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --extra dev --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate bench/requirements.in -o bench/requirements.lock

clean: ## forget the environment and the space in a box
	@rm -rf $(VENV) $(SPACE) .bench .mypy_cache .ruff_cache .pytest_cache
