#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Symbols that nothing uses, uses of symbols that do not exist, options without help."""
import os
import re
import subprocess
import sys

import kconfiglib

os.chdir(os.environ["srctree"])
kconf = kconfiglib.Kconfig("Kconfig", warn_to_stderr=False)
complaints = list(kconf.warnings)

files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True,
                       capture_output=True, text=True).stdout.split()
used = {}
for path in files:
    if path.startswith(("configs/", "Documentation/")) or path.endswith(".md"):
        continue
    with open(path, errors="replace") as f:
        for name in re.findall(r"(?:\bCONFIG_|syms\[.)([A-Z0-9_]*[A-Z0-9])\b", f.read()):
            used.setdefault(name, path)

defined = {sym.name for sym in kconf.unique_defined_syms}
for name in sorted(set(used) - defined):
    if name not in ("X", "Y", "TIMER_LIST"):  # examples, and a test's
        complaints.append("%s: CONFIG_%s is not defined" % (used[name], name))

in_kconfig = set()
for path in kconf.kconfig_filenames:
    with open(path) as f:
        for line in f:
            if not re.match(r"\s*(config|comment|menu|prompt|source)\b", line):
                in_kconfig.update(re.findall(r"\b[A-Z][A-Z0-9_]+\b", line))
for sym in kconf.unique_defined_syms:
    where = "%s:%d" % (sym.nodes[0].filename, sym.nodes[0].linenr)
    if sym.name not in used and sym.name not in in_kconfig and not sym.choice:
        complaints.append("%s: %s is used nowhere" % (where, sym.name))
    if sym.nodes[0].prompt and not sym.nodes[0].help and not sym.choice:
        complaints.append("%s: %s has no help" % (where, sym.name))

for complaint in complaints:
    print(complaint)
sys.exit(bool(complaints))
