# What a stranger types. Everything happens in this directory and in temporary ones, but for the Debian packages that
# `make test` needs.
SHELL := /bin/bash
ENGINE ?= process
PYTEST_ARGS ?=

.PHONY: help install demo check test bench soak soak-kills fuzz

help:
	@echo "make install             .venv with .venv/bin/shoal"
	@echo "make demo                a whole cluster, a job over real data, a lost node; ENGINE=docker in containers"
	@echo "make test                the checks, then every test (as root: installs what they need from Debian)"
	@echo "make check               ruff, mypy, import contracts"
	@echo "make bench               benchmarks; QUICK=1 for a short run"
	@echo "make fuzz FUZZ_SECONDS=20    requests from the OpenAPI document: no 5xx, no answer that it does not allow"
	@echo "make soak SEEDS=100000   random histories of a simulated cluster; REPLAY=seed plays one again"
	@echo "make soak-kills          real processes killed every second, two minutes an engine; SEED=n breaks the same again"

install: .venv/installed
	@echo "installed: .venv/bin/shoal"

.venv/installed: pyproject.toml
	@bash tests/tools/make-venv.sh

.venv/installed-dev: pyproject.toml
	@bash tests/tools/make-venv.sh dev

demo: .venv/installed
	@.venv/bin/python samples/demo/demo.py $(ENGINE)

check: .venv/installed-dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

test: check
	@bash tests/tools/packages.sh bubblewrap busybox-static cgroupfs-mount curl docker-registry docker.io faketime tmux
	@bash tests/tools/with-docker.sh .venv/bin/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

bench: .venv/installed-dev
	-@bash tests/tools/packages.sh parallel gcc libc6-dev # without GNU parallel it says so
	.venv/bin/python -m tests.bench $(if $(QUICK),--quick)

FUZZ_SECONDS ?= 20
fuzz: .venv/installed-dev
	@bash tests/tools/fuzz.sh $(FUZZ_SECONDS)

SEEDS ?= 100000
soak: .venv/installed-dev
	.venv/bin/python -m tests.tools.soak $(if $(REPLAY),--replay $(REPLAY),--seeds $(SEEDS))

KILLS_SECONDS ?= 120
soak-kills: .venv/installed-dev
	@bash tests/tools/packages.sh bubblewrap busybox-static cgroupfs-mount curl docker.io
	@SOAK_KILLS_SECONDS=$(KILLS_SECONDS) bash tests/tools/with-docker.sh .venv/bin/pytest -o timeout=1200 \
		tests/e2e/test_kills.py tests/e2e/test_trouble_programs.py
