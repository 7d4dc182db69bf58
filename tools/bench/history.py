#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""history.py HISTORY OUTPUT: a chart of the baselines of bench-gate, as one HTML page.

HISTORY has a line "DATE PATH INSTRUCTIONS" for each path of each baseline, oldest first. Every
path is drawn in per cent of what it first took, so that a path of 9 instructions and one
of 3,000 can be seen side by side.
"""
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is
from chart import lines, write_page  # noqa: E402


def read(path):
    """[(date, {path: instructions})], a new one where a path comes again."""
    baselines = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                date, name, value = line.split()
                value = float(value)
            except ValueError:
                sys.exit(f"{path}:{number}: not DATE PATH INSTRUCTIONS")
            if not baselines or name in baselines[-1][1] or baselines[-1][0] != date:
                baselines.append((date, {}))
            baselines[-1][1][name] = value
    return baselines


def chart(baselines):
    names = sorted({name for _, figures in baselines for name in figures})
    first = {n: next(f[n] for _, f in baselines if n in f) for n in names}
    series = {f"{n}, % of {first[n]:g}": [(i, 100 * f[n] / first[n]) for i, (_, f) in enumerate(baselines)
                                          if n in f] for n in names if first[n]}
    every = max(len(baselines) // 8, 1)
    labels = {i: date if i % every == 0 else "" for i, (date, _) in enumerate(baselines)}
    low = min(95, min(p for line in series.values() for _, p in line)) - 1
    return lines("Instructions of one operation", "% of the first baseline", series, labels, low)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    baselines = read(sys.argv[1])
    if not baselines:
        sys.exit(f"{sys.argv[1]}: there is no baseline in it")
    write_page(sys.argv[2], "miniss: bench-gate", [chart(baselines)])
    print(f"{sys.argv[2]}: {len(baselines)} baselines")


if __name__ == "__main__":
    main()
