// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dirent.h>

#include "tests/spawn.h"
#include "tests/suites.h"

#define ARGS_MAX	48
#define POLL_MS		2

const char *const serving[NR_SERVING] = { "io_uring", "libev" };

extern char **environ;

int64_t test_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void test_pause_us(int us)
{
	struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

void test_pause_ms(int ms)
{
	test_pause_us(ms * 1000);
}

/* ---- starting ---- */

/* A sanitizer's leak check cannot trace what strace traces. */
static void child_environment(const struct spawn *how)
{
	for (char **var = environ; *var;)
		if (!strncmp(*var, "MINISS_", 7)) {
			char name[128];

			snprintf(name, sizeof(name), "%.*s", (int)strcspn(*var, "="), *var);
			unsetenv(name);
			var = environ;
		} else {
			var++;
		}
	for (const char *const *var = how->env; var && *var; var++)
		putenv((char *)(uintptr_t)*var);
	if (how->inject)
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
}

static void child_stdio(const struct program *p, const struct spawn *how)
{
	if (how->no_stdio) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		return;
	}
	dup2(p->fd[0], STDOUT_FILENO);
	dup2(how->stderr_fd ? how->stderr_fd : p->fd[1], STDERR_FILENO);
}

static bool child_limits(const struct spawn *how)
{
	const struct rlimit nofile = { how->nofile, how->nofile };
	const struct rlimit memlock = { how->memlock, how->memlock };
	const struct passwd *nobody;

	if (how->nofile && setrlimit(RLIMIT_NOFILE, &nofile))
		return false;
	if (how->memlock && setrlimit(RLIMIT_MEMLOCK, &memlock))
		return false;
	if (!how->nobody)
		return true;
	nobody = getpwnam("nobody");
	return nobody && !setgid(nobody->pw_gid) && !setuid(nobody->pw_uid);
}

/*
 * With -D strace is the one in the background, and the program is our child.
 * A program is run by its descriptor, since nobody may not see the folder.
 */
static void child_exec(const struct spawn *how, const char *const *argv)
{
	const char *traced[ARGS_MAX + 8] = { "strace", "-D", "-f", "-o", "/dev/null", "-e" };
	char path[4096], inject[256];
	size_t n = 6;
	int fd;

	snprintf(path, sizeof(path), "%s/bin/%s", getenv("MN_BUILD"), argv[0]);
	fd = open(path, O_PATH | O_CLOEXEC);
	/* When the test ends, so does this; a new user would reset it. */
	if (fd < 0 || !child_limits(how) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return;
	if (!how->inject) {
		fexecve(fd, (char *const *)(uintptr_t)argv, environ);
		return;
	}
	snprintf(inject, sizeof(inject), "inject=%s", how->inject);
	traced[n++] = inject;
	traced[n++] = path;
	for (int i = 1; argv[i]; i++)
		traced[n++] = argv[i];
	execvp("strace", (char *const *)(uintptr_t)traced);
}

void program_start(struct program *p, const struct spawn *how, const char *const *argv)
{
	static const struct spawn plainly;

	if (!how)
		how = &plainly;
	ck_assert_msg(getenv("MN_BUILD"), "MN_BUILD is not set: start the tests with make check");
	for (int i = 0; i < 2; i++) {
		p->fd[i] = memfd_create("output", MFD_CLOEXEC);
		ck_assert_int_ge(p->fd[i], 0);
	}
	p->ended = false;
	p->pid = fork();
	ck_assert_int_ge(p->pid, 0);
	if (p->pid)
		return;
	child_environment(how);
	child_stdio(p, how);
	child_exec(how, argv);
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* ---- watching ---- */

static const char *program_text(struct program *p, int i)
{
	ssize_t len = pread(p->fd[i], p->text[i], sizeof(p->text[i]) - 1, 0);

	p->text[i][len < 0 ? 0 : len] = '\0';
	return p->text[i];
}

const char *program_out(struct program *p)
{
	return program_text(p, 0);
}

const char *program_err(struct program *p)
{
	return program_text(p, 1);
}

int program_nr_lines(struct program *p)
{
	const char *text = program_err(p);
	int n = nr_lines(text);

	/* What debug builds say of all, and what users are told who may lock little. */
	while ((text = strstr(text, ": deepest fiber stack: "))) {
		text++;
		n--;
	}
	if (strstr(program_err(p), "seccomp?); trying ") && io_uring_is_denied())
		n--;
	for (text = program_err(p); (text = strstr(text, "RLIMIT_MEMLOCK")); text++)
		n--;
	if (strstr(program_err(p), "RLIMIT_MEMLOCK is too low") &&
	    strstr(program_err(p), "io_uring: Cannot allocate memory; "))
		n--;
	return n;
}

bool program_alive(struct program *p)
{
	if (!p->ended)
		p->ended = waitpid(p->pid, &p->status, WNOHANG) == p->pid;
	return !p->ended;
}

static bool wait_text(struct program *p, int i, const char *text)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;

	do {
		bool alive = program_alive(p);

		if (strstr(program_text(p, i), text))
			return true;
		if (!alive)
			return false;
		test_pause_ms(POLL_MS);
	} while (test_now_ms() < until_ms);
	return false;
}

bool program_wait_err(struct program *p, const char *text)
{
	return wait_text(p, 1, text);
}

int program_exit(struct program *p)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;

	while (program_alive(p)) {
		ck_assert_msg(test_now_ms() < until_ms, "the program does not end; it said: %s%s",
			      program_out(p), program_err(p));
		test_pause_ms(POLL_MS);
	}
	return WIFEXITED(p->status) ? WEXITSTATUS(p->status) : -WTERMSIG(p->status);
}

int program_run(struct program *p, const struct spawn *how, const char *const *argv)
{
	program_start(p, how, argv);
	return program_exit(p);
}

unsigned int program_port(struct program *p)
{
	const char *colon;

	if (!wait_text(p, 0, "listening on ") || !wait_text(p, 0, "\n"))
		return 0;
	colon = strrchr(program_out(p), ':');
	return colon ? (unsigned int)strtoul(colon + 1, NULL, 10) : 0;
}

void program_stop(struct program *p)
{
	int code;

	ck_assert_msg(program_alive(p), "it has ended with %#x: %s", p->status, program_err(p));
	kill(p->pid, SIGTERM);
	code = program_exit(p);
	ck_assert_msg(code == 0, "stopped with %d: %s", code, program_err(p));
}

/* ---- what it uses ---- */

static long task_cpu_us(pid_t pid, const char *tid)
{
	unsigned long long ns = 0;
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, tid);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%llu", &ns) != 1)
			ns = 0;
		fclose(f);
	}
	return (long)(ns / 1000);
}

long program_cpu_us(struct program *p)
{
	char path[64];
	struct dirent *e;
	long sum = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)p->pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			sum += task_cpu_us(p->pid, e->d_name);
	closedir(dir);
	return sum;
}

long program_rss_kib(struct program *p)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

int program_nr_fds(struct program *p)
{
	char path[64];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* What is logged goes out when the shard is idle: then it waits for signals, too. */
int program_idle_fds(struct program *p)
{
	ck_assert(program_wait_err(p, "listening on "));
	return program_nr_fds(p);
}

bool program_wait_fds(struct program *p, int nr)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;

	while (program_nr_fds(p) > nr) {
		if (test_now_ms() > until_ms)
			return false;
		test_pause_ms(POLL_MS);
	}
	return true;
}

int nr_lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* ---- what this machine and configuration have ---- */

bool have_strace(void)
{
	return !system("strace -qq -o /dev/null -e inject=getuid:error=EPERM true >/dev/null 2>&1");
}

bool have_root(void)
{
	return !geteuid() && getpwnam("nobody");
}

bool memlock_is_short(void)
{
	struct rlimit limit;

	return geteuid() && !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur < 8 << 20;
}

const char *lacks_backend(const char *name)
{
	static struct program p;
	static char why[256];
	char want[64];
	const char *line;

	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-hello", "--list-drivers")), 0);
	snprintf(want, sizeof(want), "\n  %s ", name);
	line = strstr(program_out(&p), want);
	close(p.fd[0]);
	close(p.fd[1]);
	if (!line) {
		snprintf(why, sizeof(why), "%s is not built", name);
		return why;
	}
	snprintf(why, sizeof(why), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	return strstr(why, " works") ? NULL : why;
}

bool io_uring_is_denied(void)
{
	const char *why = lacks_backend("io_uring");

	return why && strstr(why, "seccomp?");
}

unsigned int serving_start(struct program *p, const char *backend, const struct spawn *how,
			   const char *const *args)
{
	const char *argv[ARGS_MAX] = { "mn-echo", "--listen=127.0.0.1:0" };
	char option[64];
	unsigned int port;
	int n = 2;

	snprintf(option, sizeof(option), "--backend=%s", backend);
	argv[n++] = option;
	while (args && *args && n < ARGS_MAX - 1)
		argv[n++] = *args++;
	program_start(p, how, argv);
	port = program_port(p);
	ck_assert_msg(port, "mn-echo does not listen: %s", program_err(p));
	return port;
}
