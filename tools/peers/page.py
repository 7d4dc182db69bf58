# SPDX-License-Identifier: MIT
"""The page of bench-peers: what it measured as charts (SVG), in one file that needs no other."""

import html
import math

# One hue for each, told apart on a light and on a dark page.
HUES = {"miniss": "#e8590c", "miniss, input": "#f59f00", "liburing": "#4dabf7",
	"liburing, direct": "#228be6", "liburing, direct, spins": "#1864ab", "system calls": "#868e96",
	"threads": "#adb5bd", "spinning threads": "#5c677d", "libuv": "#37b24d", "libevent": "#0ca678",
	"libev": "#94b816", "Boost.Asio": "#7048e8", "tokio": "#e03131", "tokio, threads": "#d6336c",
	"async-std": "#ae3ec9"}
WIDTH = 900
LABEL = 170		# of it, for the names at the left of bars
KEY = 230		# and for those at the right of lines
PERCENTILES = (("p50_us", "50%"), ("p90_us", "90%"), ("p99_us", "99%"), ("p999_us", "99.9%"))

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --faint: #667; --line: #d8dee4 }
@media (prefers-color-scheme: dark) {
	:root { --paper: #14171c; --ink: #e6e9ee; --faint: #9aa4b2; --line: #333a44 } }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; max-width: 940px; margin: 2em auto; padding: 0 1em;
	background: var(--paper); color: var(--ink) }
h1 { margin-bottom: 0 } h2 { margin: 2.2em 0 0; border-bottom: 1px solid var(--line) }
p { color: var(--faint) } svg { display: block; width: 100%; height: auto; margin: 1.6em 0 }
svg text { fill: var(--ink); font-size: 13px } svg .title { font-size: 16px; font-weight: 600 }
svg .faint { fill: var(--faint) } svg .mine { font-weight: 700 }
.interval { stroke: var(--ink); stroke-width: 1.5 } .grid { stroke: var(--line) }
.under { stroke: var(--line); stroke-width: 1 }
"""


def short(value):
	if value >= 1e6:
		return f"{value / 1e6:.3g} M"
	if value >= 1e4:
		return f"{value / 1e3:.3g} k"
	return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def text(x, y, what, kind="", anchor="start"):
	return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>'
		f'{html.escape(what)}</text>')


def opened(title, note, height):
	return [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">',
		text(0, 18, title, "title"), text(0, 38, note, "faint")]


def kind_of_name(name):
	return "mine" if name.startswith("miniss") else ""


def ticks_log(low, high):
	"""Powers of ten between, with 2 and 5 where there are few."""
	steps = (1, 2, 5) if high / low < 200 else (1,)
	return [m * 10 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
		for m in steps if low <= m * 10 ** e <= high]


def ticks_linear(high):
	step = 10 ** math.floor(math.log10(high))
	step *= next(m for m in (0.1, 0.2, 0.5, 1, 2) if high / (step * m) <= 6)
	return [i * step for i in range(int(high / step) + 1)]


def bars(title, note, better, tables):
	"""A bar for each peer; two, where there is a table for one CPU and one for two."""
	names = sorted({name for table in tables for name in table["rows"]},
		       key=lambda name: better * tables[0]["rows"].get(name, tables[-1]["rows"].get(name))["median"])
	values = [row[key] for table in tables for row in table["rows"].values() for key in ("low", "high")]
	low, high = min(values), max(values)
	logarithmic = high > 30 * low
	thick = 14 if len(tables) > 1 else 18
	pitch = thick * len(tables) + 11
	height = 74 + pitch * len(names)
	room = WIDTH - LABEL - 70
	floor = 10 ** math.floor(math.log10(low)) if logarithmic else 0

	def at(value):
		part = math.log(value / floor) / math.log(high / floor) if logarithmic else value / high
		return LABEL + room * part

	out = opened(title, f'{note}; {"less" if better > 0 else "more"} is better'
		     f'{"; logarithmic" if logarithmic else ""}', height)
	for tick in ticks_log(floor, high) if logarithmic else ticks_linear(high):
		out.append(f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="52" y2="{height - 20}" class="grid"/>')
		out.append(text(at(tick), height - 5, short(tick), "faint", "middle"))
	for i, name in enumerate(names):
		y = 56 + pitch * i
		out.append(text(LABEL - 10, y + thick * len(tables) / 2 + 4, name, kind_of_name(name), "end"))
		for j, table in enumerate(tables):
			row, top = table["rows"].get(name), y + thick * j
			if not row:
				continue
			end, middle = at(row["median"]), top + thick / 2 - 0.5
			out.append(f'<rect x="{LABEL}" y="{top}" width="{max(end - LABEL, 1):.1f}" height="{thick - 1}" '
				   f'fill="{HUES.get(name, "#888")}"{f" opacity={chr(34)}.55{chr(34)}" if j else ""}/>'
				   f'<line x1="{at(row["low"]):.1f}" x2="{at(row["high"]):.1f}" y1="{middle}" y2="{middle}" '
				   'class="interval"/>')
			out.append(text(max(end, at(row["high"])) + 7, middle + 4.5, short(row["median"])))
	return "\n".join(out + ["</svg>"])


def apart(wanted, least):
	"""Heights near those that are wanted, in their order, at least so far from each other."""
	order = sorted(range(len(wanted)), key=lambda i: wanted[i])
	placed = {}
	last = -math.inf
	for i in order:
		last = placed[i] = max(wanted[i], last + least)
	return [placed[i] for i in range(len(wanted))]


def lines(title, note, labels, series, logarithmic):
	"""series: {name: [value at each label, or None]}. Names stand where their lines end."""
	series = {name: line for name, line in series.items() if any(v is not None for v in line)}
	values = [v for line in series.values() for v in line if v is not None]
	if not values or len(labels) < 2:
		return ""
	high, bottom = max(values) * 1.04, min(values) * 0.9 if logarithmic else 0
	plot = max(300, 17 * len(series))
	out = opened(title, note + ("; logarithmic" if logarithmic else ""), plot + 90)
	right = WIDTH - KEY

	def x_of(i):
		return 60 + (right - 60) * i / (len(labels) - 1)

	def y_of(value):
		part = math.log(value / bottom) / math.log(high / bottom) if logarithmic else value / high
		return 60 + plot * (1 - part)

	for tick in ticks_log(bottom, high) if logarithmic else ticks_linear(high):
		out.append(f'<line x1="60" x2="{right}" y1="{y_of(tick):.1f}" y2="{y_of(tick):.1f}" class="grid"/>')
		out.append(text(52, y_of(tick) + 4, short(tick), "faint", "end"))
	for i, label in enumerate(labels):
		out.append(text(x_of(i), plot + 82, label, "faint", "middle"))
	names = sorted(series, key=lambda name: name.startswith("miniss"))	# ours on top
	ends = {name: [(x_of(i), y_of(v)) for i, v in enumerate(series[name]) if v is not None] for name in names}
	heights = apart([ends[name][-1][1] for name in names], 17)
	down = max(heights) - (60 + plot)
	for name, y in zip(names, heights):
		points, hue = ends[name], HUES.get(name, "#888")
		y -= max(down, 0)
		out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" '
			   f'stroke="{hue}" stroke-width="{3 if name.startswith("miniss") else 1.7}" '
			   f'stroke-linejoin="round"{" stroke-dasharray=%s5 3%s" % (chr(34), chr(34)) if is_bare(name) else ""}/>')
		out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{hue}"/>' for a, b in points]
		out.append(f'<line x1="{points[-1][0] + 4:.1f}" y1="{points[-1][1]:.1f}" x2="{right + 16}" y2="{y:.1f}" '
			   f'stroke="{hue}" stroke-width=".7"/>')
		out.append(text(right + 20, y + 4, f"{name}  {short(series[name][-1] or 0)}", kind_of_name(name)))
	return "\n".join(out + ["</svg>"])


def is_bare(name):
	return name.startswith(("liburing", "system calls", "threads", "spinning"))


def tasks_part(tables):
	parts = []
	for task in dict.fromkeys(table["task"] for table in tables if table["task"] != "echo"):
		mine = [table for table in tables if table["task"] == task]
		where = "; the upper bar: one CPU, the lower: two at once, all operations counted" if len(mine) > 1 \
			else "; on two CPUs" if mine[0]["cpus"] == 2 else ""
		parts.append(bars(f"{task}: {mine[0]['what']}", "ns" + where, 1, mine))
	return parts


def echo_part(tables):
	one = {(t["metric"], t["conns"]): t for t in tables if t["task"] == "echo" and t["cpus"] == 1}
	conns = sorted({c for _, c in one})
	names = list(dict.fromkeys(name for table in one.values() for name in table["rows"]))

	def of(name, metric, count):
		row = one.get((metric, count), {"rows": {}})["rows"].get(name)
		return row["median"] if row else None

	parts = []
	for metric, title, note in (("rps", "Throughput", "requests/s over connections; more is better"),
				    ("cpu_us", "CPU time of the server for a request",
				     "us over connections; less is better; who waits for one connection by spinning pays here")):
		parts.append(lines(title, note, [str(c) for c in conns],
				   {name: [of(name, metric, c) for c in conns] for name in names}, False))
	for count in conns:
		parts.append(lines(f"Latency, {count} connection{'s'[:count - 1]}", "us, of so many of the requests; less is better",
				   [label for _, label in PERCENTILES],
				   {name: [of(name, key, count) for key, _ in PERCENTILES] for name in names}, True))
	return parts


def scaling_part(tables):
	"""Echo with the server and the load on the same two CPUs."""
	two = [t for t in tables if t["task"] == "echo" and t["cpus"] == 2 and t["metric"] in ("rps", "cpu_us")]
	return [bars(f"{t['what'][0].upper() + t['what'][1:]}, {t['conns']} connections", t["unit"], t["better"], [t]) for t in two]


def page(report):
	tables = report["tables"]
	made_of = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
	parts = ['<!doctype html><html lang="en"><meta charset="utf-8">'
		 '<meta name="viewport" content="width=device-width"><title>miniss and its peers</title>'
		 f'<style>{STYLE}</style><h1>miniss and its peers</h1><p>{html.escape(report["machine"])}; '
		 f'{html.escape(made_of)}.<br>Medians of {report["rounds"]} interleaved rounds; a thin line is the '
		 'interval that has the median with 95%. Dashed lines, and liburing, system calls and threads: '
		 'by hand, with nothing around it.</p>']
	for title, note, charts in (
		("Tasks", "", tasks_part(tables)),
		(f"Echo of {report['size']} bytes", "One CPU for the server, the other one for the load.", echo_part(tables)),
		("Echo on two CPUs", "The server has both, and so has the load.", scaling_part(tables))):
		if charts:
			parts.append(f"<h2>{title}</h2>" + (f"<p>{note}</p>" if note else ""))
			parts += charts
	return "\n".join(parts) + "\n"
