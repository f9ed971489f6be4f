# forkful's build. `make` gives build/forkful; `make help` lists the rest.
#
# Two programs come out of it: the keeper (service/keeper, libc only, static) and the server (api, service, db),
# into which the keeper, the page and the API description are embedded. The same sources are built in variants,
# each in its own directory: plain, test (fault points on), asan, tsan, fuzz. `make VARIANT=asan all` builds one.

VERSION := 0.1.0
BUILD   ?= build
VARIANT ?= plain
WEB     ?= 1
SWAGGER ?= 0
PREFIX  ?= /usr/local
O       := $(BUILD)$(if $(filter plain,$(VARIANT)),,/$(VARIANT))

# What each variant adds. Only the plain one is hardened: sanitizers and FORTIFY do not go together.
FORTIFY    := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
SANITIZE   := -fno-omit-frame-pointer -fno-sanitize-recover=all
FLAGS_plain := -O2 $(FORTIFY)
FLAGS_test  := -O1 -DFORKFUL_FAULTS
FLAGS_asan  := -O1 -DFORKFUL_FAULTS -fsanitize=address,undefined $(SANITIZE)
FLAGS_tsan  := -O1 -DFORKFUL_FAULTS
FLAGS_fuzz  := -O1 -DFORKFUL_FAULTS -fsanitize=address,undefined,fuzzer-no-link $(SANITIZE)
ifeq ($(VARIANT),fuzz)
CC := clang
endif

WARN     := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wformat=2 -Wundef -Wvla $(if $(WERROR),-Werror)
CPPFLAGS += -D_GNU_SOURCE -DFORKFUL_VERSION='"$(VERSION)"' -I. -I$(O)
CFLAGS   ?= -g
COMPILE   = $(CC) -std=gnu17 $(CPPFLAGS) $(CFLAGS) $(WARN) $(FLAGS_$(VARIANT)) -MMD -MP
LIBS      = $(shell pkg-config --libs libmicrohttpd gnutls jansson sqlite3 libseccomp liblz4) -lpthread

# The server is position independent. The keeper has one thread, so tsan has nothing to see in it.
SERVER_CFLAGS  := -fPIE $(if $(filter tsan,$(VARIANT)),-fsanitize=thread)
SERVER_LDFLAGS := -pie -Wl,-z,relro,-z,now $(LDFLAGS)
# The keeper has its own memory budget, and its file is memory too (a memfd): static, no PIE, no symbols.
ifneq ($(filter asan fuzz,$(VARIANT)),)
KEEPER_CFLAGS  := -fPIE
KEEPER_LDFLAGS := -pie
else
KEEPER_CFLAGS  := -fno-pie -ffunction-sections -fdata-sections
KEEPER_LDFLAGS := -no-pie -static -Wl,--gc-sections,-z,relro,-z,now
KEEPER_STRIP   := --strip-all
endif

KEEPER_SHARED := $(wildcard service/spool.c service/fault.c)
KEEPER_SRC    := $(wildcard service/keeper/*.c) $(KEEPER_SHARED)
SERVER_SRC    := $(wildcard api/*.c service/*.c db/*.c)
UNIT_SRC      := $(wildcard tests/unit/test_*.c tests/unit/keeper_*.c)
UNIT_SHARED   := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
FUZZ_SRC      := $(wildcard tests/fuzz/fuzz_*.c)

# The page: its own files, and of its libraries what web/package-lock.json names, fetched once by npm.
PAGE   := $(foreach of,* lib/* ui/* views/*,$(foreach type,html css js svg,$(wildcard web/$(of).$(type))))
VENDOR := $(addprefix web/node_modules/,htm/preact/standalone.module.js uplot/dist/uPlot.esm.js \
          uplot/dist/uPlot.min.css htm/LICENSE preact/LICENSE uplot/LICENSE)
# Swagger UI is for those who ask for it: 2 MB.
WITH_SWAGGER := $(filter-out 0,$(SWAGGER))
VENDOR += $(if $(WITH_SWAGGER),$(wildcard web/swagger/*) $(addprefix web/node_modules/swagger-ui-dist/,swagger-ui-bundle.js swagger-ui.css LICENSE))
FETCHED := web/node_modules/$(if $(WITH_SWAGGER),.swagger,.installed)
ASSETS := $(if $(filter-out 0,$(WEB)),$(PAGE) $(VENDOR)) $(wildcard openapi.yaml openapi.json)

UNITS := $(UNIT_SRC:tests/unit/%.c=$(O)/unit/%)
FUZZ  := $(FUZZ_SRC:tests/fuzz/%.c=$(O)/targets/%)

MAKEFLAGS += --no-print-directory $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
Q   := $(if $(V),,@)
say  = @mkdir -p $(@D)$(if $(V),,; printf '  %-6s %s\n' $(1) $@)
sub  = +$(Q)$(MAKE) VARIANT=$(1)

.PHONY: all help units fuzzers deps deps-test run test asan tsan fuzz soak lint lint-files bench install clean force
.SECONDARY:

all: $(O)/forkful $(O)/forkful-keeper
units: $(UNITS) $(O)/faults.so
fuzzers: $(FUZZ)

# Programs. Archives keep what a unit test or a fuzz target does not reach out of it.
$(O)/forkful: $(O)/server/api/main.o $(O)/server.a
	$(call say,LINK)
	$(Q)$(COMPILE) $(SERVER_CFLAGS) $(SERVER_LDFLAGS) -o $@ $^ $(LIBS)

$(O)/forkful-keeper: $(O)/keeper/service/keeper/main.o $(O)/keeper.a
	$(call say,LINK)
	$(Q)$(COMPILE) $(KEEPER_CFLAGS) $(KEEPER_LDFLAGS) -o $@.debug $^
	$(Q)objcopy $(KEEPER_STRIP) $@.debug $@

$(O)/server.a: $(patsubst %.c,$(O)/server/%.o,$(filter-out api/main.c,$(SERVER_SRC)))
$(O)/keeper.a: $(patsubst %.c,$(O)/keeper/%.o,$(filter-out service/keeper/main.c,$(KEEPER_SRC)))
$(O)/%.a:
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/unit/test_%: $(O)/server/tests/unit/test_%.o $(UNIT_SHARED:%.c=$(O)/server/%.o) $(O)/server.a
	$(call say,LINK)
	$(Q)$(COMPILE) $(SERVER_CFLAGS) $(SERVER_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

$(O)/unit/keeper_%: $(O)/keeper/tests/unit/keeper_%.o $(UNIT_SHARED:%.c=$(O)/keeper/%.o) $(O)/keeper.a
	$(call say,LINK)
	$(Q)$(COMPILE) $(KEEPER_CFLAGS) $(filter-out -static,$(KEEPER_LDFLAGS)) -o $@ $^ -lcmocka

$(O)/targets/fuzz_keeper_%: $(O)/keeper/tests/fuzz/fuzz_keeper_%.o $(O)/keeper.a
	$(call say,LINK)
	$(Q)$(COMPILE) -fsanitize=fuzzer -o $@ $^

$(O)/targets/fuzz_%: $(O)/server/tests/fuzz/fuzz_%.o $(O)/server.a
	$(call say,LINK)
	$(Q)$(COMPILE) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# What tests/faults preloads into the server, below any sanitizer: without its flags.
$(O)/faults.so: tests/faults/preload.c Makefile
	$(call say,LINK)
	$(Q)$(CC) -std=gnu17 $(CPPFLAGS) $(CFLAGS) $(WARN) -O1 -shared -fPIC -o $@ $<

# Objects. A source both programs share is compiled once for each.
$(O)/server/%.o: %.c Makefile
	$(call say,CC)
	$(Q)$(COMPILE) $(SERVER_CFLAGS) $(if $(filter tests/%,$<),-Wno-unused-parameter) -c -o $@ $<

$(O)/keeper/%.o: %.c Makefile
	$(call say,CC)
	$(Q)$(COMPILE) $(KEEPER_CFLAGS) $(if $(filter tests/%,$<),-Wno-unused-parameter) -c -o $@ $<

# The embedded files: a table of path, type, size and hash, rewritten only when it has changed.
$(O)/server/api/assets.o: $(O)/assets.list
$(O)/assets.list: $(O)/forkful-keeper $(if $(filter-out 0,$(WEB)),$(FETCHED)) force
	$(Q)scripts/assets.sh $(O)/forkful-keeper $(ASSETS) > $@.new
	$(Q)if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

web/node_modules/.installed web/node_modules/.swagger: web/package-lock.json
	$(call say,NPM)
	$(Q)command -v npm > /dev/null || { echo 'npm is missing: make deps brings it, WEB=0 builds without the page' >&2; exit 1; }
	$(Q)cd web && npm ci $(if $(WITH_SWAGGER),,--omit=dev) --ignore-scripts --no-audit --no-fund --loglevel=error < /dev/null > /dev/null
	$(Q)touch web/node_modules/.installed $@

-include $(shell find $(O)/server $(O)/keeper $(O)/source -name '*.d' 2>/dev/null)

# Everyday commands.
help:
	@echo 'make [all]    build $(BUILD)/forkful        make run      install what is missing, build, serve'
	@echo 'make test     every test                 make lint     warnings, clang-tidy, cppcheck'
	@echo 'make asan     build with ASan and UBSan  make tsan     build with TSan'
	@echo 'make fuzz     FUZZ_SECONDS=10 a target   make bench    measure it'
	@echo 'make soak     everything at once for half an hour, SOAK_SECONDS=$(SOAK_SECONDS)'
	@echo 'make deps     Debian packages to build   make deps-test  and those to test'
	@echo 'make install  PREFIX=$(PREFIX) DESTDIR=  make clean    remove $(BUILD)/'
	@echo 'Variables: BUILD=dir  WEB=0 (without the page)  SWAGGER=1 (with Swagger UI)  V=1 (show commands)'

deps:
	@WEB=$(WEB) scripts/deps.sh build
deps-test: deps
	@scripts/deps.sh test

LISTEN ?= 127.0.0.1:8717
run: deps
	$(call sub,plain) all
	@exec $(BUILD)/forkful serve --listen $(LISTEN)

asan tsan:
	$(call sub,$@) all units

FUZZ_SECONDS ?= 10
fuzz: deps-test
	$(call sub,fuzz) fuzzers
	@scripts/fuzz.sh $(BUILD)/fuzz $(FUZZ_SECONDS)

test: deps-test
	$(call sub,plain) all
	$(call sub,test) all units
	$(call sub,asan) all units
	$(call sub,tsan) all
	$(call sub,fuzz) fuzzers
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/test.sh

SOAK_SECONDS ?= 1800
soak: deps-test
	$(call sub,test) all
	@FORKFUL_BIN=$(abspath $(BUILD))/test/forkful SOAK_SECONDS=$(SOAK_SECONDS) node tests/soak/soak.mjs

bench:
	$(call sub,plain) all
	@$(MAKE) -C bench BUILD=$(abspath $(BUILD))

# One stamp per source, so only what has changed (or whose headers have) is looked at again.
CPPCHECK := --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
            --suppress=missingIncludeSystem --std=c11
LINT_SRC := $(sort $(SERVER_SRC) $(KEEPER_SRC) $(UNIT_SRC) $(UNIT_SHARED) $(FUZZ_SRC) tests/faults/preload.c)
lint: deps-test
	$(call sub,lint) lint-files
	@for f in scripts/*.sh .ci/run; do bash -n "$$f" || exit 1; done
	@scripts/lint-examples.sh $(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -Werror -fsyntax-only
	@for f in $(filter %.js,$(PAGE)); do node --input-type=module --check - < "$$f" || exit 1; done
lint-files: $(LINT_SRC:%=$(O)/source/%.ok)
$(O)/source/api/assets.c.ok: $(O)/assets.list
$(O)/source/%.c.ok: %.c Makefile .clang-tidy
	$(call say,LINT)
	$(Q)$(CC) -std=gnu17 $(CPPFLAGS) $(WARN) -Werror -Wno-unused-parameter -O2 -c -o $(@:.ok=.o) \
	    -MMD -MP -MT $@ -MF $(@:.ok=.d) $<
	$(Q)$(if $(filter tests/%,$<),,clang-tidy --quiet $< -- -std=gnu17 $(CPPFLAGS) 2>$@.err \
	    || { cat $@.err; exit 1; })
	$(Q)$(if $(filter tests/%,$<),,cppcheck $(CPPCHECK) $(CPPFLAGS) $<)
	$(Q)touch $@

install: all
	install -D -m 755 $(BUILD)/forkful $(DESTDIR)$(PREFIX)/bin/forkful
	$(if $(wildcard docs/forkful.1),install -D -m 644 docs/forkful.1 $(DESTDIR)$(PREFIX)/share/man/man1/forkful.1)
	$(if $(wildcard docs/forkful.service),\
	    install -D -m 644 docs/forkful.service $(DESTDIR)$(PREFIX)/lib/systemd/system/forkful.service)

clean:
	rm -rf $(BUILD)
