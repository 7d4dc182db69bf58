/* SPDX-License-Identifier: MIT */
/* A sysfs that is made up, in the tree of tests/tree.h. */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include <stdbool.h>

/*
 * A machine, outermost first. CPUs are numbered as most firmware does: first
 * all cores, package by package, then their siblings in the same order.
 */
struct shape {
	unsigned int packages, llcs, cores, threads;
	const char *offline; /* a list of CPUs, or NULL */
	bool one_node; /* or one a package */
	bool old_names;
};

void machine_build(const struct shape *shape);

/* machine_put - write one file of a CPU */
void machine_put(unsigned int cpu, const char *name, const char *text);

#endif
