/* SPDX-License-Identifier: MIT */
/* "did you mean ...?": the nearest of the names that were tried. */
#ifndef CORE_NEAREST_H
#define CORE_NEAREST_H

#include <stddef.h>

#define NEAREST_NAME_MAX 80

struct nearest {
	const char *text; /* after the prefix */
	size_t len;
	size_t prefix;
	unsigned int distance;
	char answer[NEAREST_NAME_MAX + 24];
};

/**
 * nearest_init - look for names near the first @len bytes of @text
 * @prefix: bytes that all names share, and that say nothing
 */
void nearest_init(struct nearest *nearest, const char *text, size_t len, size_t prefix);

/** nearest_try - consider a name */
void nearest_try(struct nearest *nearest, const char *name);

/** nearest_text - "; did you mean NAME?", or "; see --help" when nothing is near */
const char *nearest_text(const struct nearest *nearest);

#endif
