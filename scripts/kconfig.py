#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kconfig.py GOAL: one of make's configuration goals, over kconfiglib."""
import importlib
import os
import random
import shutil
import sys

try:
    import kconfiglib
except ImportError:
    sys.exit("kconfiglib is missing for %s: make setup, or PYTHON3=... (Debian's is in /usr/bin)"
             % sys.executable)

AUTOCONF = "include/config/auto.conf"
NO_BACKEND = """
No I/O backend can be built: neither liburing nor libev was found.
    make setup				on Debian and Ubuntu, or install
    liburing-dev (2.2 or later)		for the io_uring backend
    libev-dev				for the libev backend
(EXPERT in the configuration builds without either, for ports and tests.)"""


# What most tests cannot run with, by intent: it has a configuration of its own.
NOT_RANDOM = ("STATIC_POOLS",)


def randconfig(kconf):
    seed = int(os.environ.get("KCONFIG_SEED") or random.randrange(1 << 32))
    print("  KCONFIG_SEED=%d" % seed)
    rand = random.Random(seed)
    items = [node.item for node in kconf.node_iter(True)
             if node.item not in (kconfiglib.MENU, kconfiglib.COMMENT)]
    for item in filter(lambda item: item.visibility, items):
        if isinstance(item, kconfiglib.Choice):
            rand.choice([s for s in item.syms if s.visibility]).set_value(2)
        elif item.type == kconfiglib.BOOL and not item.choice and item.name not in NOT_RANDOM:
            item.set_value(rand.choice((0, 2)))
    for item in items:	# last: ranges depend on the rest
        if item.type == kconfiglib.INT and item.visibility:
            low, high = next((int(low.str_value), int(high.str_value)) for low, high, cond
                             in item.ranges if kconfiglib.expr_value(cond))
            item.set_value(str(rand.choice((low, high, rand.randint(low, high)))))
    print(kconf.write_config())


def sync(kconf):
    """What .config comes to today, for make, for C, and back into .config."""
    os.makedirs("include/config", exist_ok=True)
    os.makedirs("include/generated", exist_ok=True)
    kconf.load_config()
    kconf.write_config(save_old=False)
    check()
    kconf.write_autoconf("include/generated/autoconf.h")
    shutil.copyfile(os.environ["KCONFIG_CONFIG"], AUTOCONF)


def check():
    with open(os.environ["KCONFIG_CONFIG"]) as config:
        if "CONFIG_NO_BACKEND=y\n" in config:
            sys.exit(NO_BACKEND)


def load(kconf):
    kconf.load_config(sys.argv[2])
    print(kconf.write_config())


def main():
    goal = sys.argv[1]
    if goal in ("randconfig", "sync", "load"):
        globals()[goal](kconfiglib.Kconfig("Kconfig", suppress_traceback=True))
        return check()
    if goal == "menuconfig" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.exit("menuconfig needs a terminal. Without one: make NAME_defconfig (make help lists\n"
                 "them), or edit .config in the build directory and make olddefconfig.")
    module = importlib.import_module({"defconfig": "alldefconfig"}.get(goal, goal))
    del sys.argv[1]
    (getattr(module, "main", None) or module._main)()
    if goal not in ("savedefconfig", "listnewconfig"):
        check()


main()
