# SPDX-License-Identifier: MIT
"""Line charts as SVG, in a page that is readable in light and dark."""
import html
import math

WIDTH, LEFT, RIGHT, TOP, BOTTOM, LINE = 1100, 70, 300, 60, 40, 15
STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em }
svg { width: 100%; height: auto; margin: 1em 0; font-size: 12px }
svg text { fill: currentColor } .title { font-size: 16px; font-weight: bold } .unit { opacity: .7 }
.grid { stroke: currentColor; stroke-opacity: .15 }
"""


def short(value):
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def ticks(low, high, log):
    if log:
        return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    step = 10.0 ** math.floor(math.log10(high - low))
    step *= 1 if (high - low) / step >= 4 else 0.5 if (high - low) / step >= 2 else 0.2
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def lines(title, unit, series, labels, low=0, log_x=False):
    """series: {name: [(x, y)]}; labels: {x: text}. From low; or logarithmic, if values are far apart."""
    values = [y for line in series.values() for _, y in line]
    log_y = low == 0 and max(values) > 30 * min(values)
    marks = ticks(min(values), max(values), True) if log_y else ticks(low, max(values) * 1.05, False)
    floor, top = (marks[0], marks[-1]) if log_y else (low, max(values) * 1.05)
    height = max(400, TOP + BOTTOM + LINE * len(series))
    first, last = min(labels), max(labels)

    def share(value, begin, end, log):
        if log:
            value, begin, end = math.log(value), math.log(begin), math.log(end)
        return (value - begin) / (end - begin) if end > begin else 0

    def at(x, y):
        return (LEFT + (WIDTH - LEFT - RIGHT) * share(x, first, last, log_x),
                height - BOTTOM - (height - TOP - BOTTOM) * share(y, floor, top, log_y))

    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">',
           f'<text x="0" y="18" class="title">{html.escape(title)}</text>',
           f'<text x="0" y="36" class="unit">{html.escape(unit)}{", logarithmic" if log_y else ""}</text>']
    for mark in marks:
        y = at(first, mark)[1]
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for x, text in labels.items():
        out.append(f'<text x="{at(x, floor)[0]:.1f}" y="{height - 14}" text-anchor="middle">'
                   f'{html.escape(text)}</text>')
    # Names stand at the ends of their lines, as far as there is room.
    ends = sorted(series.items(), key=lambda item: -item[1][-1][1])
    place = TOP - LINE
    for i, (name, line) in enumerate(ends):
        colour = f"hsl({360 * i // len(ends) + 15}, 70%, 50%)"
        points = [at(*point) for point in line]
        room = height - BOTTOM - LINE * (len(ends) - 1 - i)
        place = max(min(points[-1][1] + 4, room), place + LINE)
        out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" '
                   f'stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{place - 6:.1f}" width="12" height="4" fill="{colour}"/>'
                   f'<text x="{WIDTH - RIGHT + 32}" y="{place:.1f}">{html.escape(name)}: {line[-1][1]:.4g}</text>')
    return "\n".join(out + ["</svg>"])


def write_page(path, title, parts):
    with open(path, "w", encoding="utf-8") as page:
        page.write(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
                   f'<style>{STYLE}</style><h1>{html.escape(title)}</h1>\n' + "\n".join(parts) + "\n")
