# SPDX-License-Identifier: MIT
"""What bench-echo and bench-peers share: servers, the load, and what is made of samples."""

import json
import math
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile

SIZE = 64		# of a request
START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 5
LOAD_SLACK_S = 30


class Failed(Exception):
	"""A program did not do its part; the text says how."""


def say(text):
	print(text, file=sys.stderr, flush=True)


def last_line(stream):
	stream.seek(0)
	lines = stream.read().decode(errors="replace").strip().splitlines()
	return lines[-1] if lines else "(it said nothing)"


def pin(cpus):
	return lambda: os.sched_setaffinity(0, cpus)


class Server:
	"""A server process, from 'listening on' to SIGTERM."""

	def __init__(self, argv, cpus):
		self.stderr = tempfile.TemporaryFile()
		self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
					     stderr=self.stderr, preexec_fn=pin(cpus))
		try:
			self.address = self._read_address()
		except Failed:
			self.stop()
			raise

	def _read_address(self):
		fd = self.proc.stdout.fileno()
		text = b""
		while select.select([fd], [], [], START_TIMEOUT_S)[0]:
			data = os.read(fd, 4096)
			if not data:
				self.proc.wait(STOP_TIMEOUT_S)
				raise Failed(f"exit {self.proc.returncode}: {last_line(self.stderr)}")
			text += data
			if found := re.search(rb"listening on (\S+:\d+)\s", text):
				return found[1].decode()
		raise Failed(f"did not say 'listening on' in {START_TIMEOUT_S} s")

	def cpu_ns(self):
		"""Time on a CPU and waiting for one so far, of all threads, io-wq's included."""
		used = waited = 0
		tasks = f"/proc/{self.proc.pid}/task"
		for tid in os.listdir(tasks):
			try:
				with open(f"{tasks}/{tid}/schedstat", encoding="ascii") as f:
					fields = f.read().split()
				used += int(fields[0])
				waited += int(fields[1])
			except FileNotFoundError:
				pass	# a thread that ended meanwhile
		return used, waited

	def stop(self):
		"""Exit status; None if it had to be killed."""
		status = None
		if self.proc.poll() is None:
			self.proc.send_signal(signal.SIGTERM)
		try:
			status = self.proc.wait(STOP_TIMEOUT_S)
		except subprocess.TimeoutExpired:
			self.proc.kill()
			self.proc.wait()
		self.proc.stdout.close()
		self.stderr.close()
		return status


def load_run(argv, cpus, seconds):
	"""Drive a server with mn-load, so long; what it reports."""
	whole = seconds == int(seconds)
	with subprocess.Popen([*argv, f"--seconds={math.ceil(seconds) + (0 if whole else 1)}",
			       f"--size={SIZE}", f"--cpus={len(cpus)}", "--json"], text=True,
			      stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=pin(cpus)) as proc:
		try:
			out, err = proc.communicate(timeout=seconds + (LOAD_SLACK_S if whole else 0))
		except subprocess.TimeoutExpired:
			proc.send_signal(signal.SIGKILL if whole else signal.SIGINT)
			out, err = proc.communicate()
	try:
		result = json.loads(out)
	except ValueError as exc:
		why = err.strip().splitlines() or ["no JSON"]
		raise Failed(f"load: exit {proc.returncode}: {why[-1]}") from exc
	if result["errors"]:
		raise Failed(f"load: {result['errors']} errors")
	if result["requests"] < 1:
		raise Failed("load: not one request was answered")
	return result


def echo_sample(servers, argv, cpus, seconds):
	"""Load on servers of one address that run; requests/s, CPU and latencies, all in us."""
	before = [server.cpu_ns() for server in servers]
	result = load_run(argv, cpus, seconds)
	after = [server.cpu_ns() for server in servers]
	used_ns, waited_ns = (sum(y[i] - x[i] for x, y in zip(before, after)) for i in (0, 1))
	return {"rps": result["requests_per_s"], "cpu_us": used_ns / result["requests"] / 1e3,
		"waited": waited_ns / 1e9 / result["seconds"],
		**{key: result[key] for key in ("p50_us", "p90_us", "p99_us", "p999_us")}}


def program(bindir, name):
	"""The build keeps what is without miniss in a folder of its own."""
	peer = os.path.join(bindir, "peers", name)
	return peer if os.path.exists(peer) else os.path.join(bindir, name)


def cpu_times():
	"""Jiffies of the machine: all, and taken by the host (steal)."""
	with open("/proc/stat", encoding="ascii") as f:
		fields = [int(x) for x in f.readline().split()[1:9]]
	return sum(fields), fields[7]


def interval(samples):
	"""The two that hold the median between them with 95%, by order; with fewer than six, all do."""
	ordered, n = sorted(samples), len(samples)
	below, k = 1 / 2 ** n, 0
	while k + 1 < n // 2 and 2 * (below + math.comb(n, k + 1) / 2 ** n) <= 0.05:
		k += 1
		below += math.comb(n, k) / 2 ** n
	return ordered[k], ordered[n - 1 - k]


def figures(samples):
	low, high = interval(samples)
	return {"median": statistics.median(samples), "low": low, "high": high}
