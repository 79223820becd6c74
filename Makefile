# snrlab: `make demo` shows what it does, `make test` that it is right.

GO   ?= go
# Recorded runs of other programs for make conform: a file or a folder.
GOLDEN ?= dialects/testdata
TOOL := $(GO) tool

.PHONY: demo test conform check fmt-check vet staticcheck generate-check race portable cross bench bench-peers bench-torch fit build docs-figures catalogue ranking notebooks clean help

demo: ## the main job: a dozen samplers on digits against the exact answer
	$(GO) run ./cmd/snrlab run compare-digits

test: ## every test
	$(GO) test -timeout 15m ./...

conform: ## our solvers against recorded runs of other programs (GOLDEN=FOLDER for more of them)
	$(GO) run ./cmd/snrlab conform $(GOLDEN)

check: fmt-check vet staticcheck generate-check race portable cross ## everything that needs no long run

fmt-check: ## gofmt and gofumpt would change nothing
	@out="$$(gofmt -l . && $(TOOL) gofumpt -l .)"; if [ -n "$$out" ]; then echo "gofmt or gofumpt would change:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(TOOL) staticcheck ./...

generate-check: ## go generate changes nothing
	sh scripts/generate-check.sh

race: ## the race detector on the short tests
	$(GO) test -race -short -timeout 20m ./...

portable: ## the kernels' portable form, which other processors use
	$(GO) test -short -tags purego ./internal/simd/... ./models/... ./solvers ./nn ./nn/unet

cross: ## builds for the other platforms
	GOOS=linux   GOARCH=arm64 $(GO) build ./...
	GOOS=darwin  GOARCH=arm64 $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...

bench: ## kernels and steps beside the measured limits of this machine
	$(GO) test -run '^$$' -bench . -benchtime 1s ./internal/simd/... ./models ./solvers ./nn/...

bench-peers: ## docs/overhead.md: a step of every solver, beside diffusers and k-diffusion where python3 has them
	GO="$(GO)" sh scripts/bench-peers.sh

bench-torch: ## the networks of bench/ here and in torch, which it installs from Debian, in turn: times, memory, ratio
	GO="$(GO)" sh scripts/bench-torch.sh

build: ## bin/snrlab
	$(GO) build -o bin/snrlab ./cmd/snrlab

fit: ## fit the embedded digit mixture again, from MNIST (minutes)
	$(GO) run ./cmd/snrlab fit digits

docs-figures: ## the figures that README.md shows (a minute)
	sh scripts/docs-figures.sh

catalogue: ## docs/solvers.md and docs/equivalences.md, orders measured again; GOLDEN=PATHS runs recorded cases again too
	$(GO) run ./cmd/snrlab catalogue --orders experiments/orders.csv
	$(if $(GOLDEN),$(GO) run ./cmd/snrlab catalogue --conform experiments/conformance.csv $(GOLDEN))
	$(GO) generate ./experiments

ranking: ## docs/ranking.md from the whole ranking (about twenty-five minutes on two cores)
	$(GO) run ./cmd/snrlab rank --page docs/ranking.md

notebooks: ## install what the notebooks need (Debian's nbconvert, a Go kernel) and execute them, outputs in place
	bash scripts/install-test-tools.sh
	bash scripts/notebooks.sh

clean:
	rm -rf bin runs

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'
