# CID SISTEM: every action of the project. `make help` lists them.
SHELL  := /bin/bash
GO     ?= go
BIN    := bin
COMUNE ?= pantelleria
# How long each fuzz target runs.
FUZZTIME ?= 6s
PROGRAMS := ./services/registry/cmd/registryd ./services/ufficiocomune/cmd/ufficiod ./services/cidctl \
            ./gateway/cmd/gatewayd ./deploy/cmd/cid-demo ./deploy/cmd/cid-pki ./deploy/cmd/cid-seed ./deploy/cmd/cid-bench

.PHONY: help assets build demo demo-cut demo-heal test unit e2e browser browser-full lint generate stale vuln fuzz bench soak clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

WEB := gateway/internal/web
# Everything that styles, scripts and icons are made from: pages name the classes and icons that are kept.
WEB_SOURCES := $(WEB)/build.mjs $(shell find gateway/internal -name '*.html') $(wildcard $(WEB)/styles/* $(WEB)/scripts/*)

assets: $(WEB)/dist/manifest.json ## make the portal's styles, scripts and icons from Bootstrap Italia (npm)

$(WEB)/dist/manifest.json: $(WEB)/node_modules/.package-lock.json $(WEB_SOURCES)
	cd $(WEB) && node build.mjs

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build: assets ## build all programs into bin/
	@mkdir -p $(BIN)
	$(GO) build -trimpath -o $(BIN)/ $(PROGRAMS)

demo: build ## start three comuni, their ufficio comune and the gateway, with sample data (ARGS=…, CID_DATA_DIR, CID_HTTP_ADDR)
	@exec $(BIN)/cid-demo $(ARGS)

demo-cut: ## cut COMUNE off in the running demo
	@$(BIN)/cid-demo cut $(COMUNE)

demo-heal: ## connect COMUNE again
	@$(BIN)/cid-demo heal $(COMUNE)

test: unit e2e ## run all tests

unit: assets ## tests of the packages, with the race detector, and of the portal's scripts
	node --test $(WEB)/scripts/eligibility/ $(WEB)/scripts/gulpease/
	deploy/unit.sh

BROWSER := deploy/e2e/browser

$(BROWSER)/node_modules/.package-lock.json: $(BROWSER)/package-lock.json
	cd $(BROWSER) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

e2e: assets $(BROWSER)/node_modules/.package-lock.json ## tests of the whole: real processes, real TLS, real kills, a real browser
	$(GO) test -timeout 20m ./deploy/e2e/...

browser: assets $(BROWSER)/node_modules/.package-lock.json ## the portal in Chromium alone, with what was measured
	$(GO) test -count 1 -timeout 15m -v -run TestPortalInABrowser ./deploy/e2e

browser-full: export BROWSER_FULL := 1
browser-full: browser ## the same with Lighthouse, all languages and set-ups, in some ten minutes

lint: assets ## generated code fresh, contract compatible, code clean
	proto/tools/lint.sh

generate: ## generate all code that follows from the contract
	proto/tools/generate.sh

stale: ## fail when generated code is stale
	proto/tools/stale.sh

vuln: ## look for known weaknesses of dependencies; needs the Go vulnerability database (GOVULNDB)
	for module in proto services/platform services gateway deploy; do (cd $$module && GOWORK=off $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...) || exit; done

fuzz: ## run every fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) deploy/fuzz.sh

bench: build ## measure, and print tables (ARGS=…)
	@exec $(BIN)/cid-bench $(ARGS)

soak: ## the random histories of the feed, twenty thousand of them
	HISTORIES=20000 $(GO) test -timeout 2h -run TestHistories ./services/federationtest

clean: ## remove what was built
	rm -rf $(BIN)
