# A thin front to CMake. Every target works as the first command in a fresh clone: it calls scripts/setup, which
# installs what is missing. Variables: PRESET (release), JOBS (2), ARGS (passed to the program or script that runs).
PRESET ?= release
JOBS ?= 2
ARGS ?=
DIR := $(if $(filter release,$(PRESET)),build,build/$(PRESET))
BENCHTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help build run test bench bench-async check model model-long soak mutants fuzz coverage clean

help: ## this list
	@echo 'usage: make <target> [PRESET=release] [JOBS=2] [ARGS=...]'
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 14
	@echo 'presets: release debug audit secure fault asan ubsan tsan coverage fuzz aarch64'

build: ## libraries, tool and programs, in build/ (other presets: build/<preset>/)
	@scripts/setup $(if $(filter aarch64,$(PRESET)),cross,build)
	@scripts/build $(PRESET) $(JOBS)

run: ## real programs under our malloc beside other allocators, and our echo server on pools beside malloc (under 2 minutes)
	@scripts/setup run
	@scripts/build release $(JOBS)
	@scripts/run_demo $(ARGS)

test: ## build and run every test; ends with the summary of ctest
	@scripts/setup $(if $(filter aarch64,$(PRESET)),cross,test)
	@scripts/build $(PRESET) $(JOBS)
	@cd $(DIR) && ctest -j$(JOBS) --output-on-failure $(ARGS)

bench: ## all workloads, all allocators installed, side by side (BENCHTIME=10s per workload)
	@scripts/setup bench
	@scripts/build release $(JOBS)
	@build/runtime_test --bench --benchtime=$(BENCHTIME) $(ARGS)

bench-async: ## tasks, futures, channels and coroutines beside the runtimes installed (ARGS="--only=switch.*")
	@scripts/setup peers
	@scripts/build release $(JOBS)
	@cmake --build build --parallel $(JOBS) --target async_peers
	@build/async_bench $(ARGS)

check: ## format, clang-tidy, layers, atomic orders, sizes, docs, symbols; and the tests of these checkers
	@scripts/setup check
	@scripts/build release $(JOBS)
	@scripts/check $(ARGS)

model: ## the lock-free code under the model checker: every execution within its bounds (ARGS="--list")
	@scripts/setup build
	@scripts/build release $(JOBS)
	@build/emp_model $(ARGS)

model-long: ## the same with the long programs and many more executions (ARGS="--trace ring")
	@scripts/setup build
	@scripts/build release $(JOBS)
	@build/emp_model --long $(ARGS)

soak: ## the long runs: ten minutes of the echo server among clients that misbehave
	@scripts/setup test
	@scripts/build $(PRESET) $(JOBS)
	@cd $(DIR) && ctest -C Soak -L soak --output-on-failure --no-tests=error $(ARGS)

mutants: ## weaken each memory order, then change the code, one small fault at a time, and see it found (ARGS="--slice 1/20")
	@scripts/setup test
	@scripts/build release $(JOBS)
	@scripts/mutate --jobs $(JOBS) $(ARGS)

fuzz: ## run every fuzz target (ARGS="--seconds 60")
	@scripts/setup fuzz
	@scripts/build fuzz $(JOBS)
	@scripts/fuzz $(ARGS)

coverage: ## line and branch coverage of the tests, with the limits the project keeps
	@scripts/setup coverage
	@scripts/coverage $(ARGS)

clean: ## remove build/
	rm -rf build
