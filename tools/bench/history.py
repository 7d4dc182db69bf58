#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""history.py HISTORY OUTPUT: a chart of the baselines of bench-gate, as one HTML page.

HISTORY has a line "DATE PATH INSTRUCTIONS" for each path of each baseline, oldest first. Every
path is drawn in per cent of what it first took, so that a path of 9 instructions and one
of 3,000 can be seen side by side.
"""
import html
import sys

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, LABELS = 1100, 620, 60, 50, 40, 260


def read(path):
    """[(date, {path: instructions})], a new one where a path comes again."""
    baselines = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
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
    percent = {n: [100 * f[n] / first[n] if n in f and first[n] else None for _, f in baselines]
               for n in names}
    known = [p for line in percent.values() for p in line if p is not None]
    low, high = min(known + [95]) - 1, max(known + [105]) + 1
    steps = max(len(baselines) - 1, 1)

    def x(i):
        return LEFT + (WIDTH - LEFT - LABELS) * i / steps

    def y(p):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - p) / (high - low)

    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg" '
           'font-family="sans-serif" font-size="12" fill="currentColor">',
           f'<text x="{LEFT}" y="24" font-size="16">instructions of one operation, in % of the '
           'first baseline</text>']
    for tick in range(int(low // 5 * 5), int(high) + 5, 5):
        if low <= tick <= high:
            out.append(f'<line x1="{LEFT}" x2="{WIDTH - LABELS}" y1="{y(tick):.1f}" '
                       f'y2="{y(tick):.1f}" stroke="gray" stroke-opacity="0.3"/>'
                       f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick}</text>')
    every = max(len(baselines) // 8, 1)
    for i in range(0, len(baselines), every):
        out.append(f'<text x="{x(i):.1f}" y="{HEIGHT - 14}" text-anchor="middle">'
                   f'{html.escape(baselines[i][0])}</text>')
    last_y = []
    ends = sorted(names, key=lambda n: -(next(p for p in reversed(percent[n]) if p is not None)))
    for k, n in enumerate(ends):
        points = [(x(i), y(p)) for i, p in enumerate(percent[n]) if p is not None]
        colour = f"hsl({360 * k // len(ends)}, 65%, 48%)"
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = max(points[-1][1] + 4, last_y[-1] + 14 if last_y else TOP)
        last_y.append(at)
        now = next(f[n] for _, f in reversed(baselines) if n in f)
        out.append(f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3" fill="{colour}"/>'
                   f'<text x="{WIDTH - LABELS + 14}" y="{at:.1f}" fill="{colour}">'
                   f'{html.escape(n)}: {now:g}</text>')
    return "\n".join(out + ["</svg>"])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    baselines = read(sys.argv[1])
    if not baselines:
        sys.exit(f"{sys.argv[1]}: there is no baseline in it")
    with open(sys.argv[2], "w", encoding="utf-8") as page:
        page.write('<!doctype html><meta charset="utf-8"><title>miniss: bench-gate</title>'
                   '<meta name="color-scheme" content="light dark">'
                   f'<body style="max-width: 1200px; margin: 2em auto">\n{chart(baselines)}\n')
    print(f"{sys.argv[2]}: {len(baselines)} baselines")


if __name__ == "__main__":
    main()
