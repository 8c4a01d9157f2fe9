# make demo   a small synthetic community, binned
# make test   the tests
# make test-report  the report in a browser (where chromium is installed) and in MultiQC
# make lint   style and types
# make test-containers   the Docker image and the Apptainer image, where there is a Docker engine
# make test-image        the same without what takes long
# make lock recipe       what images and conda package are made from, after a change of pyproject.toml
# make test-nextflow   modules, pipeline and nf-core/mag plug-in (needs java and npm)
# make test-galaxy     the wrappers, data manager and workflows in a Galaxy server from PyPI (1.3 GB, in GALAXY)
# make bench  BENCH=folder with contigs.fasta, *.bam and gold.tsv: binned and scored (too long for CI)
#
# Each makes the environment it needs: .venv, or the folder that VENV names.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
AMBER ?= $(VENV)/amber
MULTIQC ?= $(VENV)/multiqc
DEMO ?= demo
THREADS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')
GALAXY ?= $(CURDIR)/build/galaxy
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The workflow tests find the executables in the environment.
export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: demo test test-unit test-stages test-guides test-report test-nextflow nextflow-test-data test-galaxy test-containers test-image test-reproducible lock recipe example lint bench clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[test,dev]'
	touch $@

demo: $(VENV)/.installed
	rm -rf $(DEMO)
	llmbin simulate --n-genomes 8 --genome-size 0.5 0.9 --samples 3 --seed 1 --threads $(THREADS) --out $(DEMO)/community
	llmbin run --contigs $(DEMO)/community/contigs.fasta.gz --bam $(DEMO)/community/*.bam --threads $(THREADS) --out $(DEMO)/binned
	llmbin evaluate --gold $(DEMO)/community/gold.tsv --bins llmbin=$(DEMO)/binned/contig2bin.tsv --out $(DEMO)/evaluation.tsv
	@echo
	@cut -f 1-10 $(DEMO)/binned/bins.tsv
	@echo
	@echo "bins: $(DEMO)/binned/bins   table: $(DEMO)/binned/bins.tsv   record of the run: $(DEMO)/binned/run.json"

test: test-unit test-stages test-guides

# AMBER, which results are compared with, pins old versions of what we use: an environment apart.
$(AMBER)/.installed:
	$(PYTHON) -m venv $(AMBER)
	$(AMBER)/bin/python -m pip install --quiet --disable-pip-version-check 'cami-amber==2.0.8' \
	    || echo "AMBER cannot be installed for this Python: the comparison with it is skipped"
	touch $@

test-unit: $(VENV)/.installed-test $(AMBER)/.installed
	LLMBIN_AMBER=$(abspath $(AMBER))/bin/amber.py $(VENV)/bin/python -m pytest tests/unit

test-stages: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest tests/faults
	$(VENV)/bin/python -m pytest --rootdir tests/stages --config-file tests/stages/pytest.ini --workflow-threads 1 tests/stages

# The README and the worked example hold; `make example` writes its outputs anew.
test-guides: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest tests/guides

example: $(VENV)/.installed-test
	$(VENV)/bin/python tests/guides/worked_example.py --write

# The driver of browsers, and MultiQC with its many pinned packages in an environment of its own.
$(VENV)/.installed-report: $(VENV)/.installed-test
	$(PIP) 'playwright>=1.40'
	touch $@

$(MULTIQC)/.installed:
	$(PYTHON) -m venv $(MULTIQC)
	$(MULTIQC)/bin/python -m pip install --quiet --disable-pip-version-check 'multiqc>=1.25'
	touch $@

test-report: $(VENV)/.installed-report $(MULTIQC)/.installed
	LLMBIN_MULTIQC=$(abspath $(MULTIQC))/bin/multiqc $(VENV)/bin/python -m pytest tests/platforms/report

# Groovy 4 and prettier come from npm; what cannot be had is skipped, and the tests say so.
NPM_PACKAGES := $(abspath $(VENV))/npm
NEXTFLOW_DATA := $(CURDIR)/build/nextflow-test

$(VENV)/.installed-npm: | $(VENV)/bin/python
	mkdir -p $(NPM_PACKAGES)
	npm install --silent --no-fund --no-audit --prefix $(NPM_PACKAGES) npm-groovy-lint@18.0.0 prettier@3 \
	    || echo "npm cannot install npm-groovy-lint and prettier: tests that need them are skipped"
	touch $@

$(VENV)/nf-core/.installed:
	$(PYTHON) -m venv $(VENV)/nf-core
	$(VENV)/nf-core/bin/python -m pip install --quiet --disable-pip-version-check 'nf-core==4.2.1' \
	    || echo "nf-core tools cannot be installed for this Python: their linter is skipped"
	touch $@

nextflow-test-data: $(VENV)/.installed
	test -e $(NEXTFLOW_DATA)/samples.csv || { \
	    llmbin-simulate --n-genomes 3 --genome-size 0.25 0.3 --samples 2 --depth 12 --seed 1 --out $(NEXTFLOW_DATA); \
	    llmbin-simulate --mode multi --n-genomes 3 --genome-size 0.25 0.3 --samples 2 --depth 12 --seed 1 \
	        --out $(NEXTFLOW_DATA)/multi; \
	    { echo sample,assembly,bam,group; for s in S1 S2; do \
	        echo $$s,$(NEXTFLOW_DATA)/contigs.fasta.gz,$(NEXTFLOW_DATA)/$$s.bam,all; \
	        echo $$s,$(NEXTFLOW_DATA)/multi/assemblies/$$s.fasta.gz,$(NEXTFLOW_DATA)/multi/$$s.bam,apart; \
	        done; } > $(NEXTFLOW_DATA)/samples.csv; }

test-nextflow: $(VENV)/.installed-test $(VENV)/.installed-npm $(VENV)/nf-core/.installed nextflow-test-data
	LLMBIN_NPM=$(NPM_PACKAGES) LLMBIN_NFCORE=$(abspath $(VENV))/nf-core/bin/nf-core LLMBIN_NEXTFLOW_DATA=$(NEXTFLOW_DATA) \
	    $(VENV)/bin/python -m pytest -p no:cacheprovider --rootdir tests/platforms/nextflow -ra tests/platforms/nextflow

# Galaxy and planemo are installed by the tests, which say so where that is impossible.
test-galaxy: $(VENV)/.installed-test
	LLMBIN_GALAXY=$(GALAXY) $(VENV)/bin/python -m pytest -p no:cacheprovider --rootdir tests/platforms/galaxy \
	    -ra --durations 0 tests/platforms/galaxy

# The versions of the image, so that the same bins can be expected here and there.
$(VENV)/.installed-containers: $(VENV)/.installed-test containers/requirements-cpu.txt
	sed -n 's/^\([a-z0-9.-]*==[^ ]*\).*/\1/p' containers/requirements-cpu.txt > $(VENV)/locked.txt
	$(PIP) --constraint $(VENV)/locked.txt --editable '.[test,containers]'
	touch $@

CONTAINER_TESTS = $(VENV)/bin/python -m pytest --config-file tests/platforms/containers/pytest.ini -rA \
    --ignore tests/platforms/containers/test_reproducible.py tests/platforms/containers

test-containers: $(VENV)/.installed-containers
	$(CONTAINER_TESTS)

test-image: $(VENV)/.installed-containers
	$(CONTAINER_TESTS) -m 'not long'

# Builds the image twice.
test-reproducible: $(VENV)/.installed-containers
	$(VENV)/bin/python -m pytest --config-file tests/platforms/containers/pytest.ini -rA \
	    tests/platforms/containers/test_reproducible.py

# The newest versions that the package allows, with torch of constraints.txt. The CPU build of torch
# is not on PyPI: TORCH_LINKS names a page or folder that has it.
TORCH_LINKS ?= https://download.pytorch.org/whl/cpu/torch/
LOCK = $(VENV)/bin/uv pip compile pyproject.toml --quiet --constraint constraints.txt --generate-hashes \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --only-binary :all: --no-header --no-annotate

lock: $(VENV)/.installed-containers
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	for kind in cpu gpu; do \
	    file=containers/requirements-$$kind.txt; head=$$(sed '/^[^#]/,$$d' $$file); \
	    links=(); [ $$kind = gpu ] || links=(--find-links $(TORCH_LINKS) --no-emit-package torch); \
	    body=$$($(LOCK) "$${links[@]}"); \
	    printf '%s\n' "$$head" "$$body" > $$file; done

recipe: $(VENV)/bin/python
	$(VENV)/bin/python containers/conda/recipe.py

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	mkdir -p $(VENV)/types && ln -sfn $(CURDIR)/tools $(VENV)/types/llmbin_tools
	MYPYPATH=$(VENV)/types $(VENV)/bin/mypy -p llmbin_core -p llmbin_tools

bench: $(VENV)/.installed
	@test -n "$(BENCH)" || { echo "give BENCH=FOLDER with contigs.fasta, *.bam and gold.tsv"; exit 2; }
	llmbin run --contigs $(BENCH)/contigs.fasta --bam $(BENCH)/*.bam --threads $(THREADS) --out $(BENCH)/binned
	llmbin evaluate --gold $(BENCH)/gold.tsv --bins llmbin=$(BENCH)/binned/contig2bin.tsv --min-bin-size 200000 --out $(BENCH)/binned/evaluation.tsv
	@cat $(BENCH)/binned/evaluation.tsv

clean:
	rm -rf build dist $(DEMO) *.egg-info
