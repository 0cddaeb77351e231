# make run: the demo shop on http://localhost:8000. make test: every test. make check: all static checks. make: a list.
PORT ?= 8000
HOST ?= 127.0.0.1
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
# The newest suitable Python on this machine.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python3.14; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help run reset-demo test browser mutants check format lock erd graphiql audits apollo nginx benchmark clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 20

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Commercia needs Python 3.11 or newer with venv: on Debian or Ubuntu, apt-get install python3-venv." >&2; \
		exit 1; fi
	@$(PYTHON) -m venv .venv

# One lock file each, with hashes; the stamp file records which version was installed.
.venv/app.stamp: requirements/app.lock | .venv/bin/python
	@echo "Installing the shop's packages ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev.stamp: requirements/dev.lock .venv/app.stamp
	@echo "Installing the packages for tests and checks ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.env:
	@printf 'DEBUG=true\n' > .env

run: .venv/app.stamp .env ## start the demo shop on http://localhost:8000 (PORT=9000 for another port)
	@$(BIN)/python -c 'import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((sys.argv[1], int(sys.argv[2])))' \
		$(HOST) $(PORT) 2>/dev/null || { echo "Port $(PORT) is taken. Choose another one: make run PORT=9000" >&2; exit 1; }
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo
	@echo "GraphiQL: http://localhost:$(PORT)/graphql/   Admin: http://localhost:$(PORT)/admin/   Stop: Ctrl-C"
	@exec $(BIN)/gunicorn --config deploy/gunicorn.conf.py --bind $(HOST):$(PORT) commercia.wsgi

reset-demo: .venv/app.stamp .env ## delete the demo's database and images and load the demo again
	@rm -rf data/shop.sqlite3 data/shop.sqlite3-shm data/shop.sqlite3-wal data/media data/originals
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo

test: .venv/dev.stamp .env ## run every test; with DATABASE_URL=postgres://... on PostgreSQL
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist worksteal

browser: .venv/dev.stamp .env ## test the admin in a real browser (needs Chromium and its driver)
	@$(BIN)/python -m pytest tests/browser

mutants: .venv/dev.stamp .env ## put small faults into the code for money and stock, and list those that no test catches
	@PYTHONPATH=. $(BIN)/python tests/mutation/run.py $(FILES)

check: .venv/dev.stamp .env ## check format, lint, types, imports, migrations, SDL and deployment settings
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-logo 2>/dev/null || PYTHONPATH=. $(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py export_schema --check
	@env -i PATH="$$PATH" DEBUG=false SECRET_KEY="$$(head -c 64 /dev/urandom | base64 -w0)" \
		JWT_KEY="$$(head -c 64 /dev/urandom | base64 -w0)" ALLOWED_HOSTS=shop.example STOREFRONT_URL=https://shop.example \
		DATABASE_URL=sqlite:////tmp/none.sqlite3 $(BIN)/python manage.py check --deploy --fail-level WARNING

format: .venv/dev.stamp ## format the code and fix lint errors
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

audits: .venv/app.stamp .env ## run the 61 official GraphQL-over-HTTP audits against a server that it starts (needs Node)
	@tests/schema/audits/run

apollo: .venv/app.stamp .env ## run the Apollo client of docs/accounts.md against a server that it starts (needs Node)
	@examples/apollo/run

nginx: .venv/app.stamp .env ## test the nginx cache of deploy/nginx/commercia.conf (needs nginx)
	@tests/deploy/nginx/run

erd: .venv/dev.stamp .env ## draw docs/erd.svg from the models (needs Graphviz)
	@$(BIN)/python manage.py graph_models storefront --dot --rankdir LR --hide-edge-labels --color-code-deletions \
		--exclude-models AbstractBaseUser,PermissionsMixin,Group,Permission | dot -Tsvg > docs/erd.svg

benchmark: .venv/app.stamp .env ## write docs/benchmarks.md, compared with Vendure; quick try: ARGS="--seconds 1 --rounds 1"
	@$(BIN)/python -m benchmarks.run $(ARGS)

graphiql: ## build storefront/static/graphiql from its npm packages (needs Node)
	@cd storefront/graphiql && npm ci --no-audit --no-fund && node build.mjs && rm -rf node_modules

lock: .venv/dev.stamp ## resolve requirements/*.lock from the ranges in pyproject.toml
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url pyproject.toml -o requirements/app.lock
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url -c requirements/app.lock pyproject.toml --extra tracing -o requirements/tracing.lock
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url -c requirements/tracing.lock pyproject.toml --extra tracing --group dev -o requirements/dev.lock

clean: ## delete everything that is not in the repository, including the shop's data
	@rm -rf .venv data .env .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
