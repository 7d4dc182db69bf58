// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/suites.h"
#include "tests/tree.h"

char tree[64];

void tree_make(void)
{
	strcpy(tree, "/tmp/mn-tree-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tree));
}

void tree_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", tree);
	ck_assert_int_eq(system(command), 0);
}

void tree_put(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", tree, name);
	file = fopen(path, "w");
	for (char *slash = path + strlen(tree); !file && (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	if (!file)
		file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}
