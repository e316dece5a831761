# Two commands are enough: `make demo` shows what shellenv does, `make test` proves it.
# Both make what they need (.venv in this checkout, programs by apt when run as root) and are
# quiet about what is already there.

# What the tests and the linters start; PROGRAM:PACKAGE where the names differ
PARTS = zsh fish busybox bats tmux strace shellcheck shfmt direnv ssh:openssh-client sshd:openssh-server rsync
BENCH_PARTS = zsh fish direnv strace npm rsync sshd:openssh-server

.PHONY: help demo test lint bench clean venv dev parts engine

help:
	@sed -n 's/^## //p' Makefile

## make demo    the main job in a throw-away home, live at a terminal
demo: venv
	@.venv/bin/python scripts/demo.py

## make test    everything: linters, bats, pytest; installs what is missing
test: lint engine
	@bats tests
	@.venv/bin/pytest -n auto

## make lint    the linters alone
lint: dev parts
	@scripts/lint.sh

## make bench   shellenv, direnv and mise side by side; writes docs/benchmarks.md (quicker: QUICK=1)
bench: dev engine
	@scripts/parts.sh $(BENCH_PARTS)
	@.venv/bin/python -m bench
	@.venv/bin/python -m bench.dock
	@.venv/bin/python -m bench.runs

## make clean   remove all that the others made in this checkout
clean:
	rm -rf .venv .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +

venv:
	@scripts/venv.sh

dev:
	@scripts/venv.sh dev

parts:
	@scripts/parts.sh $(PARTS)

engine: parts
	@scripts/engine.sh
