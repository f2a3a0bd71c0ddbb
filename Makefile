# CID SISTEM: every action of the project. `make help` lists them.
SHELL := /bin/bash
GO    ?= go
BIN   := bin
COMUNE ?= pantelleria
PROGRAMS := ./services/registry/cmd/registryd ./services/ufficiocomune/cmd/ufficiod ./services/cidctl \
            ./gateway/cmd/gatewayd ./deploy/cmd/cid-demo ./deploy/cmd/cid-pki ./deploy/cmd/cid-seed

.PHONY: help build demo demo-cut demo-heal test test-short lint generate stale fuzz bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build all programs into bin/
	@mkdir -p $(BIN)
	$(GO) build -trimpath -o $(BIN)/ $(PROGRAMS)

demo: build ## start three comuni, their ufficio comune and the gateway, with sample data (ARGS=…, CID_DATA_DIR, CID_HTTP_ADDR)
	@exec $(BIN)/cid-demo $(ARGS)

demo-cut: ## cut COMUNE off in the running demo
	@$(BIN)/cid-demo cut $(COMUNE)

demo-heal: ## connect COMUNE again
	@$(BIN)/cid-demo heal $(COMUNE)

generate: ## generate all code that follows from the contract
	proto/tools/generate.sh

clean: ## remove what was built
	rm -rf $(BIN)
