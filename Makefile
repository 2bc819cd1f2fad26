# `make` lists what there is. Everything installs what it needs first, and says so.
SHELL := /bin/sh
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# What Debian brings: engines, a registry and a server of ssh that only this project's demo, tests and benchmarks start and use.
ENGINE_PACKAGES := docker.io podman docker-registry busybox-static iproute2 git ca-certificates \
	openssh-client openssh-server bzip2 xz-utils postgresql-15 haproxy systemd
# What tests need beside that: compose, what images have of Debian, a WAMP peer that is not ours, and a kubectl, of whatever version.
TEST_PACKAGES := docker-compose tini wget man-db python3-autobahn $(if $(shell command -v kubectl),,kubernetes-client)

# What images are called, and what builds them: docker, or podman.
IMAGE ?= quay.io/quay/quay-builder
MANAGER_IMAGE ?= quay.io/quay/quay-build-manager
IMAGE_TAG ?= latest
ENGINE ?= docker
VERSION = $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
REVISION = $(shell git rev-parse HEAD 2>/dev/null)
SOURCES := $(shell find src -type f) scripts/build scripts/bundle.ts scripts/bundling.ts \
	scripts/license-notices.ts scripts/license-policy.ts package-lock.json

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ sub(/ .*/, "", $$1); printf "  make %-19s %s\n", $$1, $$2 }'

.PHONY: build
build: dist/.built ## Leave bin/quay-builder, bin/quay-build-manager and bin/quay-build ready to run

.PHONY: install
install: build ## Install programs, documentation, completion and systemd units (PREFIX=/usr/local, DESTDIR=)
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install

.PHONY: uninstall
uninstall: ## Remove what `make install` put there; settings and data stay (PREFIX=/usr/local, DESTDIR=)
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install --remove

.PHONY: executables
executables: executables/quay-builder executables/quay-build ## Leave the worker and the command line in executables/, as one file each that needs no Node

comma := ,
# Podman's own format of images has no health checks.
# From 23 on, Docker's command line has BuildKit by a plugin alone, without which it has words of its own for it.
REQUIRE_BUILDKIT = case "$$($(ENGINE) --version)" in 'Docker version 2'[3-9].*|'Docker version '[3-9][0-9].*) \
	$(ENGINE) buildx version >/dev/null 2>&1 || { echo "$@ needs BuildKit, which '$(ENGINE)' has by its plugin buildx: \
	install docker-buildx-plugin (Debian: docker-buildx), or build with ENGINE=podman." >&2; exit 69; } ;; esac
IMAGE_BUILD = $(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) --build-arg VERSION='$(VERSION)' --build-arg REVISION='$(REVISION)' $(BUILD_FLAGS)

.PHONY: build-alpine-image build-alpine
build-alpine-image build-alpine: build ## Build the worker's image on Alpine, IMAGE:IMAGE_TAG-alpine (ENGINE=docker|podman, BUILD_FLAGS='--build-arg …')
	$(IMAGE_BUILD) --file Dockerfile.alpine --tag '$(IMAGE):$(IMAGE_TAG)-alpine' .

.PHONY: build-rhel-image build-rhel
build-rhel-image build-rhel: build ## Build the worker's image on UBI 9, IMAGE:IMAGE_TAG-rhel (SUBSCRIPTION_KEY=file, the same)
	@$(REQUIRE_BUILDKIT)
	DOCKER_BUILDKIT=1 $(IMAGE_BUILD) --file Dockerfile.rhel $(if $(SUBSCRIPTION_KEY),--secret 'id=subscription_key$(comma)src=$(SUBSCRIPTION_KEY)') \
		--tag '$(IMAGE):$(IMAGE_TAG)-rhel' .

# The name that it had before, and that of the tag.
.PHONY: build-rhel7-image
build-rhel7-image: build-rhel-image
	$(ENGINE) tag '$(IMAGE):$(IMAGE_TAG)-rhel' '$(IMAGE):$(IMAGE_TAG)-rhel7'

.PHONY: build-manager-image
build-manager-image: build ## Build the manager's image, MANAGER_IMAGE:IMAGE_TAG (ENGINE=docker|podman)
	$(IMAGE_BUILD) --file Dockerfile.manager --tag '$(MANAGER_IMAGE):$(IMAGE_TAG)' .

.PHONY: demo
demo: build engine ## Build, push and run an image, end to end (SOURCE=folder|git URL\#ref|archive URL, KEEP=1)
	@scripts/as-root node lab/demo/main.ts $(if $(SOURCE),--source '$(subst ','\'',$(SOURCE))') $(if $(filter-out 0,$(KEEP)),--keep)

.PHONY: test
test: build engine ## Run every test, on a real engine, registry, database and git server
	@scripts/ensure-packages $(TEST_PACKAGES)
	scripts/as-root vitest run

.PHONY: lint
lint: node_modules/.package-lock.json ## Check format, types, rules, import directions, unused exports, generated docs, licences
	scripts/lint

.PHONY: bench
bench: build engine ## Measure ratios, print them and write bench-results.json (ROWS='builds log-streams')
	scripts/as-root node bench/main.ts $(ROWS)

.PHONY: test-faults
test-faults: build engine ## Strike a farm while it builds, and check that nothing was lost (SEED=x BUILDS=n FAULTS=n MINUTES=n)
	scripts/as-root env $(if $(SEED),SEED='$(SEED)') $(if $(BUILDS),BUILDS='$(BUILDS)') $(if $(FAULTS),FAULTS='$(FAULTS)') \
		$(if $(MINUTES),MINUTES='$(MINUTES)') node faults/main.ts

.PHONY: docs
docs: node_modules/.package-lock.json ## Write the generated parts of docs/ anew
	scripts/docs

.PHONY: licenses
licenses: node_modules/.package-lock.json ## Check the licences of all packages, and write docs/licenses.md
	node scripts/licenses.ts

.PHONY: format
format: node_modules/.package-lock.json ## Format the source
	prettier --write --log-level warn src lab test bench faults 'scripts/*.ts' './*.js' './*.ts' './*.json'

.PHONY: clean
clean: ## Remove what was built and what the demo kept
	rm -rf dist executables coverage bench-results.json
	scripts/as-root rm -rf .demo

.PHONY: engine
engine:
	@scripts/ensure-packages $(ENGINE_PACKAGES)

dist/.built: node_modules/.package-lock.json $(SOURCES)
	scripts/build
	@touch $@

executables/quay-builder: node_modules/.package-lock.json $(SOURCES) scripts/executable.ts
	node scripts/executable.ts worker $@

executables/quay-build: node_modules/.package-lock.json $(SOURCES) scripts/executable.ts
	node scripts/executable.ts cli $@

# npm writes this file last.
node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel error
	@touch $@
