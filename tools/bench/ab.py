#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ab.py [OPTIONS] NAME=DIR[,OPTION...] NAME=DIR[,OPTION...]...: builds of miniss beside each other.

DIR is a build directory, OPTIONs are given to the programs in it: so builds can be compared,
or one build with several options. In every round each side runs the benches once, in
another order each time, so that what disturbs the machine disturbs all of them. A side is
compared with the first one in the same round; printed are the medians over the rounds,
and in brackets an interval that holds the median of the ratios with 95% or so.

Benches that a side lacks are left out. Exit status: 0, 1 a program failed, 2 usage.
"""
import argparse
import json
import math
import os
import select
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# What programs do all the time, over the drivers that the side runs on.
HOT = (r"^(future\..*|task\..*|fiber\..*|timer\.(arm|cancel)|turn\.empty|op\.nop\.qd(1|64)|sem\.fast|"
       r"channel\.(flow|pingpong)|smp\.(oneway|call\.roundtrip|call\.pipelined|call\.alone|turn\.1peer)|"
       r"stream\.echo|scale\.conns\.1|file\.prepare)$")


def side(text):
    name, _, where = text.partition("=")
    directory, *options = where.split(",")
    if not name or not os.access(os.path.join(directory, "bin", "mn-bench"), os.X_OK):
        raise argparse.ArgumentTypeError(f"{text}: not NAME=DIR with a DIR/bin/mn-bench")
    return name, os.path.join(directory, "bin"), options


def pinned(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")),
                     os.uname().machine)
    return f"{len(os.sched_getaffinity(0))} CPUs ({model}), Linux {os.uname().release}"


# ---- what is measured: {path: ns} of one side ----

def benches(bin_dir, options, pattern, samples):
    done = subprocess.run([os.path.join(bin_dir, "mn-bench"), "--json", f"--samples={samples}",
                           f"--filter={pattern}", "--log-level=1", *options],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{bin_dir}/mn-bench: {done.stderr.strip()}")
    rows = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {row["name"]: row["median_ns"] for row in rows}


def cpu_ns(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def second_of(client, second):
    """The requests that mn-load counted in it, when it is over."""
    for line in client.stderr:
        if line.startswith(f"{second} s: "):
            return max(int(line.split()[2]), 1)
    raise RuntimeError(f"{client.args[0]} ended early")


def echo(command, conns, load):
    """An echo server on one CPU, the load on another; its CPU ns a request, and requests/s, of one second."""
    cpus, pipe, null = sorted(os.sched_getaffinity(0)), subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdout=pipe, stderr=null, text=True, preexec_fn=pinned(cpus[0])) as server:
        try:
            line = server.stdout.readline() if select.select([server.stdout], [], [], 10)[0] else ""
            if "listening on " not in line:
                raise RuntimeError(f"{command[0]} does not listen")
            address = line.split("listening on ")[1].split(",")[0].strip()
            with subprocess.Popen([load, address, f"--connections={conns}", "--seconds=60", "--cpus=1",
                                   "--spin=off", "--progress", "--log-level=0"], stdout=null, stderr=pipe,
                                  text=True, preexec_fn=pinned(cpus[-1])) as client:
                try:
                    # The second one: all connections are up, and what they cost is not in it.
                    second_of(client, 1)
                    before = cpu_ns(server.pid)
                    requests = second_of(client, 2)
                    used = cpu_ns(server.pid) - before
                finally:
                    client.kill()
        finally:
            server.kill()
    return used / requests, requests


def mn_echo(bin_dir, options):
    return [os.path.join(bin_dir, "mn-echo"), "--cpus=1", "--listen=127.0.0.1:0", *options]


def measured(one, args, load):
    _, bin_dir, options = one
    rows = benches(bin_dir, options, args.filter, args.samples) if args.filter else {}
    for conns in args.echo:
        rows[f"mn-echo.{conns}"] = echo(mn_echo(bin_dir, options), conns, load)[0]
    return rows


def instructions(one):
    """{path: instructions} over the mem backend, as bench-gate counts them."""
    with tempfile.NamedTemporaryFile("r", suffix=".counts") as file:
        env = dict(os.environ, GATE_BASELINE=file.name, GATE_HISTORY="/dev/null")
        subprocess.run([os.path.join(HERE, "gate"), one[1], "1"], env=env, check=True,
                       stdout=subprocess.DEVNULL)
        with open(file.name, encoding="utf-8") as again:
            return {line.split()[0]: float(line.split()[1]) for line in again if not line.startswith("#")}


# ---- figures ----

def interval(samples):
    """The order statistics that hold the median with 95%, or as nearly as there are samples for."""
    ordered, n, k, tail = sorted(samples), len(samples), 0, 2 ** -len(samples)
    while 2 * (tail + math.comb(n, k + 1) / 2 ** n) <= 0.05:
        k, tail = k + 1, tail + math.comb(n, k + 1) / 2 ** n
    return ordered[k], ordered[n - 1 - k]


def short(value):
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(unit, names, rounds):
    """rounds: a list of {side: {path: value}}"""
    paths = [p for p in rounds[0][names[0]] if all(p in r[n] for r in rounds for n in names)]
    print(f"{unit:<22}" + f"{names[0]:>9}" + "".join(f"{n:>10}{'more':>9}{'%':>8}  {'[interval]':<16}"
                                                     for n in names[1:]))
    for path in paths:
        first = statistics.median(r[names[0]][path] for r in rounds)
        line = f"{path:<22}{short(first):>9}"
        for name in names[1:]:
            ratios = [100 * (r[name][path] / r[names[0]][path] - 1) for r in rounds]
            ratio, (low, high) = statistics.median(ratios), interval(ratios)
            value = statistics.median(r[name][path] for r in rounds)
            between = f"[{low:+.1f}, {high:+.1f}]" if len(rounds) > 1 else ""
            line += f"{short(value):>10}{short(first * ratio / 100):>9}{ratio:>+8.1f}  {between:<16}"
        print(line.rstrip())
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default=HOT, help="of mn-bench; '' for none; the hot paths if not given")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=5, help="of each bench in each round")
    parser.add_argument("--echo", type=lambda text: [int(n) for n in text.split(",")], default=[],
                        metavar="N,...", help="mn-echo under so many connections, too: CPU time a request")
    parser.add_argument("--counts", action="store_true", help="count instructions, once, instead")
    parser.add_argument("sides", nargs="+", type=side)
    args = parser.parse_args()
    names = [name for name, _, _ in args.sides]
    if len(set(names)) < 2 or len(set(names)) < len(names) or args.rounds < 1:
        parser.error("it takes two sides or more, by different names, and a round")
    if args.counts:
        table("instructions", names, [{one[0]: instructions(one) for one in args.sides}])
        return
    load = os.path.join(args.sides[0][1], "mn-load")
    rounds = []
    for number in range(args.rounds):
        order = args.sides if number % 2 == 0 else args.sides[::-1]
        rounds.append({one[0]: measured(one, args, load) for one in order})
    table("ns, medians", names, rounds)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"ab.py: {error}")
