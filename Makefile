# Git, make and Python 3.11 are all you need; `make setup` finds or installs the rest.
# Options for the command behind a target go into ARGS: make demo ARGS="--keep"
SHELL := bash
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: $(shell grep -oE '^[a-z-]+:' $(MAKEFILE_LIST) | tr -d ':')

help: ## Show this
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: ## Make this checkout ready: uv, Java 17, Maven, redis-server, a C compiler, Python environment, jars
	@infra/setup.sh

demo: setup ## Watch real purchases flow through everything until a click changes an answer
	@$(BIN)/millrace demo $(ARGS)

up: setup ## Start the whole stack and leave it running
	@$(BIN)/millrace up $(ARGS)

down: ## Stop the stack; its data stays
	@if [ -x $(BIN)/millrace ]; then $(BIN)/millrace down $(ARGS); fi

test-packages:
	@infra/setup.sh test

test: test-packages ## Run all tests against a real stack
	@$(BIN)/python -m pytest $(ARGS)

trials: setup ## Kill, freeze and flood a real stack; each trial prints one JSON line
	@$(BIN)/python -m pytest -m "trial or generative" --hypothesis-profile=trials $(ARGS)

check: setup ## Lint, format, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict feature_store models streaming batch serving infra
	@$(BIN)/lint-imports

screenshots: test-packages ## Take the pictures of docs/pictures from the running storefront
	@$(BIN)/python -m tests.web.screenshots $(ARGS)

audit: setup ## Is the lockfile right, and is anything known against a locked package?
	@$(BIN)/python -m infra.audit

schemas: setup ## Write docs/schemas from the contracts
	@$(BIN)/python -m feature_store.schemas docs/schemas

bench-packages:
	@infra/setup.sh bench

bench: bench-packages ## Run every benchmark (hours); each prints its figures as one JSON line
	@for one in benchmarks/bench_*.py; do $(BIN)/python $$one || exit 1; done

bench-ingest: bench-packages ## Events a second into the stores: ours, and what one would write instead
	@$(BIN)/python benchmarks/bench_ingest.py $(ARGS)

bench-freshness: bench-packages ## Milliseconds from a click to an answer that knows it, under load
	@$(BIN)/python benchmarks/bench_freshness.py $(ARGS)

bench-batch-growth: bench-packages ## Cost of landing and recounting a message at 1, 4 and 16 times the log
	@$(BIN)/python benchmarks/bench_batch_growth.py $(ARGS)

bench-growth: bench-packages ## Cost per event and bytes per user at 1, 4 and 16 times the users and items
	@$(BIN)/python benchmarks/bench_growth.py $(ARGS)

bench-candidates: bench-packages ## The best of a million items for a user: recall and milliseconds
	@$(BIN)/python benchmarks/bench_candidates.py $(ARGS)

bench-serving: bench-packages ## Recommendations a second and their latency: ours, and a tutorial's server
	@$(BIN)/python benchmarks/bench_serving.py $(ARGS)

bench-overload: bench-packages ## Two and four times the load that serving can take: what still gets through
	@$(BIN)/python benchmarks/bench_overload.py $(ARGS)

bench-ranking: bench-packages ## The served list against every single source; live against nightly; cold starts
	@$(BIN)/python benchmarks/bench_ranking.py $(ARGS)

bench-retrieval: bench-packages ## The candidate sources and their blend on gowalla, beside published figures
	@$(BIN)/python benchmarks/bench_retrieval.py $(ARGS)

bench-training: bench-packages ## Seconds of implicit ALS: ours, Spark's own, the implicit package
	@$(BIN)/python benchmarks/bench_training.py $(ARGS)

clean: down ## Stop the stack and delete its data; environment and jars stay
	@rm -rf .millrace .pytest_cache .mypy_cache .ruff_cache .hypothesis
