# Each target sets up what it needs in .venv, once. Another Python: make PYTHON=python3.12 run
PYTHON ?= python3
VENV ?= .venv
RECIPE ?= bert_textcls
RUN ?= runs/$(RECIPE)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
# The same as plain `accelerate launch`, which would first list the defaults it was not given. Several processes:
# make run LAUNCH='.venv/bin/accelerate launch --multi_gpu --num_processes 8'
LAUNCH ?= $(BIN)/accelerate launch --quiet --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no

.DEFAULT_GOAL := help

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'
	@echo
	@echo "  make run RECIPE=lite0_imgcls     make run RUN=runs/second ARGS='train.num_train_epochs=2'"
	@echo "  make eval RUN=runs/second        make PYTHON=python3.12 test"

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; some minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(READY) ## Install everything into .venv

run: $(READY) ## Fine-tune RECIPE (default bert_textcls), then score it on the held-out split
	@$(LAUNCH) hfft/run.py --recipe $(RECIPE) --output-dir $(RUN) $(ARGS)
	@$(BIN)/hfft eval $(RUN)

eval: $(READY) ## Score the run RUN on its held-out test split; one more line in its ledger
	@$(BIN)/hfft eval $(RUN)

test: $(READY) ## Run the tests (offline, 2 processes)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

offline: $(READY) ## The same tests where there is no network at all but loopback, for no language (Linux)
	@unshare --net --map-root-user sh -c 'ip link set lo up && exec $(BIN)/python -m pytest -n 2 --dist loadfile'

prove: $(READY) ## 10,000 generated cases of every property of the splits, and of every metric (minutes)
	@HFFT_CASES=10000 $(BIN)/python -m pytest -n 2 tests/test_dealing.py tests/test_metrics.py tests/test_graded.py

mutants: $(READY) ## Put small faults into the judging half; what share do the tests notice? (tens of minutes)
	@nice $(BIN)/python benchmarks/mutants.py $(ARGS)

# Real peers, in an environment of their own that also sees hfft's libraries: none of theirs may replace one.
$(VENV)/peers/.ready: $(READY)
	@test -x $(VENV)/peers/bin/python || $(BIN)/python -m venv $(VENV)/peers
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > $$(echo $(VENV)/peers/lib/python3*/site-packages)/base.pth
	@$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt fastai simpletransformers
	@touch $@

bench: $(VENV)/peers/.ready ## hfft beside other ways of the same work, on this machine (about 40 minutes)
	@HFFT_PEERS=$(VENV)/peers/bin/python $(BIN)/python benchmarks/speed.py $(ARGS)

lint: $(READY) ## Ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean: ## Remove .venv and caches; runs/ stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup run eval test offline prove mutants bench lint clean
