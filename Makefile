# SPDX-License-Identifier: MIT
#
# The build of miniss, in one make process and one dependency graph.
#
# The first pass runs in the source tree and only re-enters this file from
# inside the build directory (O=, default build), where everything is written.
# The second pass reads the configuration, then each directory's Makefile
# (scripts/Kbuild.include, "descend"), then builds. Start with `make help`.

VERSION := 0.1.0
SOVERSION := 0

MAKEFLAGS += -rR --no-print-directory
srctree := $(realpath $(dir $(lastword $(MAKEFILE_LIST))))
export srctree

.DELETE_ON_ERROR:
all:

ifneq ($(words $(srctree) $(CURDIR)),2)
$(error the source and build directories may not have spaces in their names)
endif

ifeq ($(CURDIR),$(srctree))	# ---------------------------------- first pass

O ?= build
ifeq ($(realpath $(O)),$(srctree))
$(error O= must name another directory than the source tree)
endif

# These change what the goals after them see: then, one goal at a time.
in-order := setup setup-dev %config clean distclean mrproper

$(sort all $(MAKECMDGOALS)): reenter ; @:
.PHONY: reenter all $(MAKECMDGOALS)
reenter:
	@mkdir -p $(O)
ifeq ($(filter $(in-order),$(MAKECMDGOALS)),)
	+@$(MAKE) -C $(O) -f $(srctree)/Makefile $(MAKECMDGOALS)
else
	+@set -e; for goal in $(MAKECMDGOALS); do \
		$(MAKE) -C $(O) -f $(srctree)/Makefile $$goal; done
endif

else				# --------------------------------- second pass

# This Python sees Debian's kconfiglib; another one may come first in PATH.
PYTHON3	?= /usr/bin/python3
PREFIX	?= /usr/local
ifneq ($(filter default undefined,$(origin CC)),)
CC	:= $(CROSS_COMPILE)gcc
endif
AR	:= $(CROSS_COMPILE)ar
OBJCOPY	:= $(CROSS_COMPILE)objcopy
CC_VERSION_TEXT := $(CC): $(shell $(CC) --version 2>&1 | sed 's/["\\]//g; q')
export CC CC_VERSION_TEXT PYTHON3

include $(srctree)/scripts/Kbuild.include
include $(srctree)/scripts/Makefile.kconfig

no-config := help setup setup-dev %config clean distclean mrproper format lint check-all check-models check-stress bench-gate bench-history bench-dispatch pgo
ifneq ($(filter-out $(no-config),$(or $(MAKECMDGOALS),all)),)

include include/config/auto.conf
include $(srctree)/scripts/Makefile.flags

$(call descend,core/ backends/ timers/ smp/ lib/ samples/ tools/ tests/)

all: $(programs) lib/libminiss.a lib/libminiss.so

# What the public headers depend on, installed with them.
include/miniss/config.h: include/generated/autoconf.h $(srctree)/Makefile
	$(Q)mkdir -p $(@D)
	$(Q){ echo '#pragma once'; echo '#define MINISS_VERSION "$(VERSION)"'; \
		grep -vE 'CONFIG_(CC|HAVE|ARCH)_' $<; } > $@

vpath %.c $(srctree)
vpath %.S $(srctree)
%.o: %.c include/generated/autoconf.h include/miniss/config.h FORCE
	$(call if_changed,cc)
%.o: %.S include/generated/autoconf.h FORCE
	$(call if_changed,as)

# One relocatable object, so that no driver is left behind in an archive: as
# the tests see it, then as users do, with only mn_* for names.
miniss-internal.o: $(lib-objs) FORCE
	$(call if_changed,ld_r)
miniss.o: miniss-internal.o FORCE
	$(call if_changed,localize)
lib/libminiss.a: miniss.o FORCE
	$(call if_changed,ar)
lib/libminiss.so.$(SOVERSION): miniss.o $(srctree)/scripts/libminiss.map FORCE
	$(call if_changed,so)
lib/libminiss.so: lib/libminiss.so.$(SOVERSION)
	$(Q)ln -sf $(<F) $@

$(programs) bin/mn-test: FORCE
	$(call if_changed,link)

bin/mn-test: $(test-objs) miniss-internal.o | have-check
CHECK_LIBS ?= $(shell pkg-config --libs check)
ldlibs.bin/mn-test = $(ldlibs) $(CHECK_LIBS)
have-check:
	@test "$$($(srctree)/scripts/probe check.h suite_create $(CHECK_LIBS))" = y || \
		{ echo "The tests need Check: make setup, or install check" >&2; exit 1; }

# RUN=... goes in front, for an emulator.
check: all bin/mn-test
	$(Q)$(run) MN_BUILD=$(CURDIR) MN_SRC=$(srctree) $(RUN) bin/mn-test

demo: all
	$(Q)$(run) $(srctree)/scripts/demo $(CURDIR)/bin

bench-echo: all
	$(Q)$(run) $(srctree)/tools/peers/bench-echo --bindir=bin

bench-peers: all
	$(Q)$(run) $(srctree)/tools/peers/bench-peers --build=.

bench-io: all
	$(Q)$(run) bin/mn-bench --filter='^(file|net)\.'
	$(Q)$(run) $(srctree)/tools/peers/bench-file bin
	$(Q)$(run) $(srctree)/tools/peers/bench-copy bin

bench-scale: all
	$(Q)$(run) $(srctree)/tools/bench/scale . --out=scale.html

bench-idle: all
	$(Q)$(run) $(srctree)/tools/peers/bench-idle --bindir=bin

install: all
	$(Q)DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" VERSION=$(VERSION) LIBS="$(strip $(ldlibs))" \
		SONAME=libminiss.so.$(SOVERSION) $(srctree)/scripts/install

targets += $(programs) bin/mn-test miniss-internal.o miniss.o lib/libminiss.a lib/libminiss.so.$(SOVERSION)
$(shell mkdir -p $(sort $(dir $(targets))))
-include $(wildcard $(patsubst %.o,%.d,$(filter %.o,$(targets))) $(call cmdfile,$(targets)))

endif

# In a configuration of its own, gate/ here: see tools/bench/gate.
bench-gate:
	$(Q)$(run) MAKEFLAGS= $(MAKE) -s -C $(srctree) O=$(CURDIR)/gate gate_defconfig > /dev/null
	$(Q)$(run) MAKEFLAGS= $(MAKE) -s -j$$(nproc) -C $(srctree) O=$(CURDIR)/gate bin/mn-bench > /dev/null
	$(Q)$(run) $(srctree)/tools/bench/gate gate/bin $(UPDATE)
bench-history:
	$(Q)$(PYTHON3) $(srctree)/tools/bench/history.py $(srctree)/tools/bench/gate.history gate-history.html

pgo:
	$(Q)$(run) $(srctree)/scripts/pgo $(srctree) "$(CC)"

bench-dispatch:
	$(Q)$(run) $(srctree)/tools/bench/dispatch dispatch

# Programs that may call make themselves start without this one's flags.
run := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC

setup setup-dev:
	$(Q)$(srctree)/scripts/setup $(@:setup-%=%)
	$(Q)rm -f include/config/auto.conf
lint check-all check-models check-stress:
	$(Q)$(run) $(srctree)/scripts/$@

format:
	$(Q)cd $(srctree) && git ls-files -co --exclude-standard '*.[ch]' | xargs scripts/format

clean:
	$(Q)rm -rf $(addprefix ./,core backends timers smp lib samples tools tests bin include \
		miniss*.o .miniss*.cmd gate gate-history.html scale.html dispatch pgo lint check-all check-models check-stress)
distclean mrproper: clean
	$(Q)rm -f .config .config.old defconfig

help:
	@cat $(srctree)/scripts/help
	@cd $(srctree)/configs && for c in *_defconfig; do echo "  $$c"; done

.PHONY: FORCE all check demo bench-echo bench-peers bench-io bench-idle bench-scale bench-gate bench-history bench-dispatch pgo install setup setup-dev lint check-all check-models check-stress \
	format clean distclean mrproper help have-check $(config-goals)

endif
