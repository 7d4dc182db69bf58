// SPDX-License-Identifier: MIT
/*
 * What control groups allow, in version 1, version 2, and both at once.
 *
 * A group's quota bounds everything below it, so all groups from the
 * process's own up to the root of the mount count. Inside a container the
 * path in /proc/self/cgroup may be the host's, which does not exist here;
 * the root of the mount is then the container's own group. So groups that
 * are missing are skipped, and the root is always looked at.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smp/topology.h"

#define PATH_SIZE 4096
#define TEXT_SIZE 4096 /* of a file that is read: a line or two */

struct search {
	const char *root;
	char path[PATH_SIZE]; /* of the process's group, below its mount */
	struct cpu_mask *cpuset;
	bool cpuset_found;
	uint64_t quota;
};

/* Read a small file; false if there is none. The end is trimmed. */
static bool file_read(char text[static TEXT_SIZE], const char *mount, const char *group,
		      const char *name)
{
	char path[2 * PATH_SIZE];
	ssize_t len;
	int fd;

	if (snprintf(path, sizeof(path), "%s%s/%s", mount, group, name) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, text, TEXT_SIZE - 1);
	close(fd);
	if (len < 0)
		return false;
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	text[len] = '\0';
	return true;
}

static uint64_t quota_of(long long quota_us, long long period_us)
{
	if (quota_us <= 0 || period_us <= 0 || quota_us > INT64_MAX / 1000)
		return QUOTA_NONE;
	/* Less than a thousandth is still some. */
	return max((uint64_t)quota_us * 1000 / (uint64_t)period_us, (uint64_t)1);
}

static uint64_t quota_v2(const char *mount, const char *group)
{
	long long quota_us, period_us;
	char text[TEXT_SIZE], *end;

	if (!file_read(text, mount, group, "cpu.max") || !strncmp(text, "max", 3))
		return QUOTA_NONE;
	quota_us = strtoll(text, &end, 10);
	period_us = strtoll(end, NULL, 10);
	return quota_of(quota_us, period_us);
}

static uint64_t quota_v1(const char *mount, const char *group)
{
	char quota[TEXT_SIZE], period[TEXT_SIZE];

	if (!file_read(quota, mount, group, "cpu.cfs_quota_us") ||
	    !file_read(period, mount, group, "cpu.cfs_period_us"))
		return QUOTA_NONE;
	return quota_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The nearest group that says it is right: the kernel intersected it with those above. */
static void cpuset_look(struct search *search, const char *mount, const char *group,
			const char *name)
{
	struct cpu_mask mask;
	char text[TEXT_SIZE];

	if (search->cpuset_found || !file_read(text, mount, group, name) ||
	    cpu_list_parse(text, &mask))
		return;
	*search->cpuset = mask;
	search->cpuset_found = true;
}

static void look_v2(struct search *search, const char *mount, const char *group)
{
	search->quota = min(search->quota, quota_v2(mount, group));
	cpuset_look(search, mount, group, "cpuset.cpus.effective");
}

static void look_v1_cpu(struct search *search, const char *mount, const char *group)
{
	search->quota = min(search->quota, quota_v1(mount, group));
}

static void look_v1_cpuset(struct search *search, const char *mount, const char *group)
{
	cpuset_look(search, mount, group, "cpuset.effective_cpus");
	cpuset_look(search, mount, group, "cpuset.cpus");
}

typedef void (*look_fn)(struct search *search, const char *mount, const char *group);

/* Look at the group and all above it, in one of the places where it may be mounted. */
static void walk(struct search *search, const char *subdir, look_fn look)
{
	char mount[PATH_SIZE], group[PATH_SIZE], *slash;

	if (snprintf(mount, sizeof(mount), "%s%s", search->root, subdir) >= (int)sizeof(mount))
		return;
	memcpy(group, search->path, sizeof(group));
	while ((slash = strrchr(group, '/'))) {
		if (slash[1])
			look(search, mount, group);
		*slash = '\0';
	}
	look(search, mount, "");
}

static void walk_v2(struct search *search)
{
	walk(search, "", look_v2);
	walk(search, "/unified", look_v2);
}

static void walk_v1_cpu(struct search *search)
{
	walk(search, "/cpu", look_v1_cpu);
	walk(search, "/cpu,cpuacct", look_v1_cpu);
}

static void walk_v1_cpuset(struct search *search)
{
	walk(search, "/cpuset", look_v1_cpuset);
}

static bool has_controller(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (!strncmp(list, name, len) && (!list[len] || list[len] == ','))
			return true;
	return false;
}

/* A line of /proc/self/cgroup: "0::/path", "4:cpu,cpuacct:/path". */
static void look_line(struct search *search, char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!path || strlen(path + 1) >= PATH_SIZE)
		return;
	*path++ = '\0';
	controllers++;
	path[strcspn(path, "\n")] = '\0';
	memset(search->path, 0, sizeof(search->path));
	/* A group outside of this namespace: nothing below the root is known. */
	if (!strstr(path, "/.."))
		memcpy(search->path, path, strlen(path));
	if (!*controllers)
		walk_v2(search);
	if (has_controller(controllers, "cpu"))
		walk_v1_cpu(search);
	if (has_controller(controllers, "cpuset"))
		walk_v1_cpuset(search);
}

void cgroup_limits(const char *root, const char *self, struct cpu_mask *cpuset, uint64_t *quota)
{
	struct search search = { .root = root, .cpuset = cpuset, .quota = QUOTA_NONE };
	FILE *file = fopen(self, "re");
	char *line = NULL;
	size_t size = 0;

	memset(cpuset, 0, sizeof(*cpuset));
	while (file && getline(&line, &size, file) > 0)
		look_line(&search, line);
	free(line);
	if (file)
		fclose(file);
	/* The roots, also where no group is said to be: without /proc, for example. */
	memset(search.path, 0, sizeof(search.path));
	walk_v2(&search);
	walk_v1_cpu(&search);
	walk_v1_cpuset(&search);
	*quota = search.quota;
}
