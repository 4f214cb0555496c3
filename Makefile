# What there is to do with this project. Needs Rust and, where something is to be installed, root or sudo.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps build demo test check test-core test-httpd test-stores test-stores-all docker-test soak bench install uninstall clean

APXS ?= apxs
CARGO ?= cargo
MODULE := target/release/libmod_session_store.so
TOOL := target/release/htsession
# Asked when used: apxs may just have been installed.
LIBEXECDIR = $(shell $(APXS) -q LIBEXECDIR)
INCLUDEDIR = $(shell $(APXS) -q INCLUDEDIR)
SYSCONFDIR = $(shell $(APXS) -q SYSCONFDIR)
SBINDIR = $(shell $(APXS) -q SBINDIR)
MANDIR = $(shell $(APXS) -q MANDIR)

say = @printf '\n== %s\n' $(1)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install what building needs and is missing, saying what and why
	@tests/deps.sh build

build: deps ## Build module and tool: target/release/libmod_session_store.so, htsession
	$(CARGO) build --release --locked

demo: build ## Serve the demo on 127.0.0.1:8080 until ctrl-C
	@tests/deps.sh demo
	@httpd-conf/demo/run

test: ## Install what is missing, then check and test everything
	$(call say,'what tests need')
	@tests/deps.sh build test
	@$(MAKE) --no-print-directory check test-core test-httpd test-stores docker-test
	$(call say,'passed; what could not run says SKIPPED above')

check: ## Formatting and lints, with and without httpd
	$(call say,'formatting and lints')
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings

test-core: ## Tests of the core: no httpd, no clang
	$(call say,'tests of the core')
	$(CARGO) test --locked --no-default-features --features tool

test-httpd: ## Tests against real servers of each kind
	$(call say,'tests against real servers')
	$(CARGO) test --locked

test-stores: ## The tests against real servers, on each other store; under event
	$(call say,'tests against real servers on each other store')
	@CARGO='$(CARGO)' tests/stores/run.sh

test-stores-all: ## The same with all tests, under every MPM, on more kinds of store
	@CARGO='$(CARGO)' tests/stores/run.sh --all

docker-test: ## Tests against a httpd in a container, where an engine answers
	$(call say,'tests in a container')
	@tests/docker/run.sh test

soak: ## 200 graceful restarts under load, for each kind of lock; 100,000 expired sessions are removed
	SESSION_STORE_RESTARTS=200 $(CARGO) test --locked --test main restart_soak -- --nocapture
	SESSION_STORE_EXPIRED=100000 $(CARGO) test --locked --test main \
		cleanup::watchdog::expired_records_go -- --nocapture --test-threads 1

bench: build ## Measure: requests per second and CPU per request
	@tests/deps.sh bench
	@tests/bench/run

# Root often has no cargo: what was built before is installed as it is.
install: ## Install module, tool, headers and configuration where apxs says; DESTDIR is honoured
	@test -e $(MODULE) && test -e $(TOOL) || { echo 'make build comes first'; exit 1; }
	install -D -m 644 $(MODULE) '$(DESTDIR)$(LIBEXECDIR)/mod_session_store.so'
	install -D -m 755 $(TOOL) '$(DESTDIR)$(SBINDIR)/htsession'
	install -D -m 644 src/bin/htsession/htsession.8 '$(DESTDIR)$(MANDIR)/man8/htsession.8'
	install -D -m 644 c_shim/mod_session_store.h '$(DESTDIR)$(INCLUDEDIR)/mod_session_store.h'
	install -D -m 644 c_shim/session_store_provider.h '$(DESTDIR)$(INCLUDEDIR)/session_store_provider.h'
	@if [ -d /etc/apache2/mods-available ]; then \
		$(MAKE) --no-print-directory install-debian; \
	else \
		echo 'LoadModule session_store_module $(LIBEXECDIR)/mod_session_store.so'; \
		echo 'goes into httpd.conf; its directives: httpd-conf/session_store.conf'; \
	fi

# A configuration that was edited stays.
.PHONY: install-debian
install-debian: AVAILABLE = $(DESTDIR)$(SYSCONFDIR)/mods-available
install-debian:
	mkdir -p '$(AVAILABLE)'
	printf 'LoadModule session_store_module %s\n' '$(LIBEXECDIR)/mod_session_store.so' \
		> '$(AVAILABLE)/session_store.load'
	@if [ ! -e '$(AVAILABLE)/session_store.conf' ]; then \
		install -v -m 644 httpd-conf/session_store.conf '$(AVAILABLE)/session_store.conf'; \
	elif ! cmp -s httpd-conf/session_store.conf '$(AVAILABLE)/session_store.conf'; then \
		echo '$(AVAILABLE)/session_store.conf is kept; the new one is session_store.conf.new'; \
		install -m 644 httpd-conf/session_store.conf '$(AVAILABLE)/session_store.conf.new'; \
	fi
	@echo 'a2enmod session_store and a restart of httpd load it'

uninstall: ## Remove what install installed; sessions and an edited configuration stay
	@test ! -e '$(DESTDIR)$(SYSCONFDIR)/mods-enabled/session_store.load' \
		|| { echo 'httpd would not start without the module: a2dismod session_store comes first'; exit 1; }
	rm -f '$(DESTDIR)$(LIBEXECDIR)/mod_session_store.so'
	rm -f '$(DESTDIR)$(SBINDIR)/htsession' '$(DESTDIR)$(MANDIR)/man8/htsession.8'
	rm -f '$(DESTDIR)$(INCLUDEDIR)/mod_session_store.h' '$(DESTDIR)$(INCLUDEDIR)/session_store_provider.h'
	rm -f '$(DESTDIR)$(SYSCONFDIR)/mods-available/session_store.load'
	rm -f '$(DESTDIR)$(SYSCONFDIR)/mods-available/session_store.conf.new'
	@conf='$(DESTDIR)$(SYSCONFDIR)/mods-available/session_store.conf'; \
	if [ ! -e "$$conf" ]; then :; \
	elif cmp -s httpd-conf/session_store.conf "$$conf"; then rm -v "$$conf"; \
	else echo "$$conf is kept: it was edited"; fi

clean: ## Remove what was built
	$(CARGO) clean
