# `make help` explains every target.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON ?= $(shell for each in python3.11 python3.12; do $$each -c '' 2>/dev/null && echo $$each && break; done || true)
PIP_ARGS ?=
JOBS ?= 3
GPU_CHECK_ARGS ?=
ABLATION_ARGS ?= steps=2 benchmarks.0.problems=200
PUBLISHED := results/published
RUN := $(VENV)/bin/python
# What an environment was installed from is what it stays; a new one is for GPUs where an NVIDIA driver answers.
INSTALLED := $(shell ls $(VENV)/.installed-* 2>/dev/null || true)
KIND := $(or $(INSTALLED:$(VENV)/.installed-%=%),$(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu))

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo
	@echo "  PYTHON=...    interpreter for the virtual environment, 3.11 or 3.12 (default: the first of them that is here)"
	@echo "  VENV=...      folder of the virtual environment (default .venv); each is for the CPU world or for GPUs"
	@echo "  JOBS=...      test processes side by side (default 3; two of them train, and may need 8 GB of memory each)"
	@echo "  ABLATION_ARGS=...  what every cell of make ablations gets (default: $(ABLATION_ARGS))"
	@echo "  GPU_CHECK_ARGS=...  further words of kawhi rehearse, e.g. algorithm=dapo"
	@echo "  PIP_ARGS=...  further arguments of pip install, e.g. --index-url URL"

demo: setup-cpu ## set up, run the region-selection ablation in the CPU world, print its table
	@$(VENV)/bin/kawhi doctor
	$(RUN) experiments/run.py -m ablation=region_selection
	$(RUN) analysis/make_tables.py region_selection
	@$(VENV)/bin/kawhi status region_selection

ablations: setup-cpu ## every ablation on both tiny models, in short runs (ABLATION_ARGS), and their tables
	@code=0; for file in conf/ablation/*.yaml; do \
		$(RUN) experiments/run.py -m ablation=$$(basename $$file .yaml) model=tiny_qwen2_5_vl,tiny_qwen3_vl $(ABLATION_ARGS) || code=$$?; \
	done; $(RUN) analysis/make_tables.py; exit $$code

methods: setup-cpu ## every credit method on every base algorithm, three steps each, and what they cost
	$(RUN) experiments/run.py -m experiment=methods
	$(RUN) analysis/make_tables.py methods

paper: setup ## tables, figures, report as PDF and one page, run cards, from the published records and your own
	@code=0; for program in make_tables make_figures make_report; do \
		$(RUN) analysis/$$program.py || code=$$?; \
	done; exit $$code

publish: setup ## make the tables of results/published again, from the records there alone
	$(RUN) analysis/make_tables.py region_selection --format markdown \
		--records $(PUBLISHED)/records --out $(PUBLISHED)/tables
	$(RUN) analysis/make_tables.py tor_main tor_table1 tor_table2 tor_table3 tor_table5 --format markdown \
		--records $(PUBLISHED)/tor/records --out $(PUBLISHED)/tor/tables

check-paper: setup ## whether the published records are sound, and the tables beside them what they give
	$(VENV)/bin/kawhi records check $(PUBLISHED)/records
	$(VENV)/bin/kawhi records check $(PUBLISHED)/tor/records
	$(RUN) analysis/check_committed.py
	$(RUN) analysis/check_committed.py --results $(PUBLISHED)/tor

test: setup-cpu examples ## set up, then all tests, the real verl, vLLM and lmms-eval included
	$(RUN) -m pytest -m "not alone" -n $(JOBS) --dist loadscope --no-loadscope-reorder -p tests.progress --durations 25
	$(RUN) -m pytest -m alone tests/end_to_end -p tests.progress --durations 0

test-fast: setup-cpu ## set up, then the tests that start no trainer
	$(RUN) -m pytest -m "not slow" -n auto --dist loadscope --no-loadscope-reorder -p tests.progress --durations 10

lint: setup ## ruff (check and format), mypy and shellcheck, as .pre-commit-config.yaml lists them
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pre-commit run --all-files

doctor: setup ## check this machine, with one thing to do per finding
	@$(VENV)/bin/kawhi doctor

gpu-check: setup ## rehearse a cell of table 1 on the GPUs that are here, before a day of eight is spent (GPU_CHECK_ARGS)
	@nvidia-smi -L >/dev/null 2>&1 || { echo "error: no NVIDIA driver answers here; on a CPU type: kawhi rehearse" >&2; exit 1; }
	$(VENV)/bin/kawhi rehearse $(GPU_CHECK_ARGS)

benchmarks: setup-cpu ## speed and memory side by side in one run, into docs/performance.md; leave the machine alone
	$(RUN) -m pytest benchmarks --results benchmarks/results/middle.json
	@for family in qwen2_5_vl qwen3_vl; do \
		$(RUN) benchmarks/gpu_overhead.py --family $$family --depth 2 --repeats 3 --update --json benchmarks/results/overhead-cpu-$$family.json; \
	done
	$(RUN) benchmarks/statistics_cost.py --json benchmarks/results/statistics.json
	$(RUN) benchmarks/entropy_cost.py --json benchmarks/results/entropy.json
	$(RUN) benchmarks/passes_cost.py --json benchmarks/results/passes.json
	$(RUN) benchmarks/start_up.py --json benchmarks/results/start-up.json
	$(RUN) benchmarks/judge_throughput.py --json benchmarks/results/judge.json
	$(RUN) benchmarks/report.py

checkpoints: setup-cpu ## make the tiny checkpoints again from nothing (20 minutes a family on one core)
	$(RUN) -m kawhi.tiny.warm_start qwen2_5_vl
	$(RUN) -m kawhi.tiny.warm_start qwen3_vl
	$(RUN) -m kawhi.tiny.warm_start qwen2_5_vl reading
	$(RUN) -m kawhi.tiny.warm_start qwen3_vl reading

pictures: setup-cpu ## draw the pictures of the README and of docs/ again
	$(VENV)/bin/kawhi sheet docs/images/tiny_world.png
	$(RUN) docs/images/make_overview.py
	$(RUN) docs/images/make_loop.py
	$(RUN) docs/images/make_bench.py
	$(VENV)/bin/kawhi explain docs/images/chart.png "Find the sum of A and B." --out build/explain
	cp build/explain/chart_explain.png docs/images/explain.png

examples: build/examples/.installed ## trl for examples/trl_grpo.py, in a folder beside the environment

build/examples/.installed: requirements/examples.txt | setup-cpu
	@$(RUN) -m pip install --quiet $(PIP_ARGS) --no-deps --upgrade --target build/examples -r requirements/examples.txt
	@touch $@

docs: .venv-docs/.installed ## the site of docs/ and of this repository's pages, into build/site; a link that leads nowhere is an error
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo "open build/site/index.html; to search in it: .venv-docs/bin/mkdocs serve, then http://127.0.0.1:8000"

.venv-docs/.installed: requirements/docs.txt
	@[ -n "$(PYTHON)" ] || { echo "error: Python 3.11 or 3.12 is missing: say PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv-docs
	@.venv-docs/bin/python -m pip install --quiet $(PIP_ARGS) -r requirements/docs.txt
	@touch $@

lock: setup ## requirements/gpu.txt again, from requirements/cpu.txt, gpu.in and gpu.overrides
	$(RUN) requirements/lock.py

check-lock: setup ## whether both locks can be installed with Python 3.11 and 3.12, of metadata alone
	$(RUN) requirements/lock.py --check

setup: setup-$(KIND) ## the virtual environment .venv: setup-gpu where there is an NVIDIA driver, else setup-cpu

setup-cpu: $(VENV)/.installed-cpu ## the same from requirements/cpu.txt: the CPU world, on any machine

setup-gpu: $(VENV)/.installed-gpu ## the same from requirements/gpu.txt: NVIDIA GPUs with a driver of 580 or newer

$(VENV)/.installed-%: requirements/%.txt pyproject.toml
	@[ -n "$(PYTHON)" ] && command -v $(PYTHON) >/dev/null || { echo "error: Python 3.11 or 3.12 is missing: install python3.11 and python3.11-venv, or say PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) requirements/machine.py $* $(VENV)
	@echo "installing $$(grep -c == requirements/$*.txt) packages of requirements/$*.txt into $(VENV) (3 minutes and more)"
	$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) requirements/install.py $* $(PIP_ARGS)
	@PYTHONWARNINGS=ignore $(RUN) -m pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@echo "importing torch, torchvision and vllm"
	@$(RUN) -m kawhi.wheels.importable
	@touch $@
	@echo "set up: type source $(VENV)/bin/activate once in every new shell, then kawhi doctor, or any command of the README"

clean: ## remove the virtual environment and caches (results stay)
	rm -rf $(VENV) .venv-docs .pytest_cache .ruff_cache .mypy_cache .hypothesis

.PHONY: help demo ablations methods paper publish check-paper test test-fast lint doctor gpu-check benchmarks checkpoints pictures examples docs lock check-lock setup setup-cpu setup-gpu clean
