# The habits of this project.  make up | down | status | logs | clean   the services, natively (docker compose up: in containers)
#                              make demo                              the whole path, shown on a terminal
#                              make test | test-unit | test-integration | test-system | test-soak | test-chaos | lint | bench | model
#                              make package | compat | docs           the wheel; other versions of its dependencies; the pages
#
# CHISTA_BASE_PORT and CHISTA_DATA choose another stack beside the default one, CHISTA_SERVICES starts a part of it (data: without
# Airflow), PYTHON names the interpreter.

PYTHON ?= python3
STACK := $(PYTHON) -m stack

.DEFAULT_GOAL := help
.PHONY: help up down status logs clean demo test test-unit test-integration test-system test-soak test-chaos lint bench model package compat docs venv lock

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

up:
	@$(STACK) up

down:
	@$(STACK) down

status:
	@$(STACK) status

logs:
	@$(STACK) logs

clean:
	@$(STACK) clean

demo: up
	@$(STACK) demo

# Lint, then every test, on a stack of its own; ends with pytest's closing line.
test:
	@$(STACK) test all

test-unit:
	@$(STACK) test unit

test-integration:
	@$(STACK) test integration

test-system:
	@$(STACK) test system

# Live copies for CHISTA_SOAK_SECONDS (1200): memory, parts, handles, and equality at the end. Not part of `make test`.
test-soak:
	@$(STACK) test soak

# Every stage killed at each of its steps, and CHISTA_CHAOS_KILLS (200) times at random, on each engine; servers are killed too.
# A table of CHISTA_STORY_ROWS (1000000) rows goes the whole way and back.
test-chaos:
	@$(STACK) test chaos

lint:
	@$(STACK) lint

bench: up
	@$(STACK) exec .venv/bin/python -m benchmarks

# The model of the purge protocol (docs/model), searched by SPIN; its seeded faults must be found.
model:
	@$(STACK) model

# Wheel and sdist in dist/; the wheel is installed into an environment of its own and looked at there.
package:
	@$(STACK) package

# Unit tests with the oldest and newest versions that pyproject.toml allows, and with Airflow 3.2; some minutes.
compat:
	@$(STACK) compat

# The pages of docs/ as a site in site/; a broken link or a page that the navigation lacks is an error.
docs:
	@$(STACK) docs

venv:
	@$(STACK) venv

lock:
	@$(STACK) lock
