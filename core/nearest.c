// SPDX-License-Identifier: MIT
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/compiler.h"
#include "core/nearest.h"

/* Insertions, deletions and replacements that turn one into the other. */
static unsigned int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	uint8_t row[NEAREST_NAME_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (uint8_t)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int replace = diagonal + (a[i - 1] != b[j - 1]);
			unsigned int other = min(row[j - 1], row[j]) + 1u;

			diagonal = row[j];
			row[j] = (uint8_t)min(replace, other);
		}
	}
	return row[b_len];
}

void nearest_init(struct nearest *nearest, const char *text, size_t len, size_t prefix)
{
	nearest->text = text + prefix;
	nearest->len = len - prefix;
	nearest->prefix = prefix;
	/* With half of it wrong it is not a slip any more. */
	nearest->distance = (unsigned int)(nearest->len + 1) / 2;
	memcpy(nearest->answer, "; see --help", sizeof("; see --help"));
}

void nearest_try(struct nearest *nearest, const char *name)
{
	size_t len = strlen(name) - nearest->prefix;
	unsigned int d;

	if (nearest->len > NEAREST_NAME_MAX || len > NEAREST_NAME_MAX)
		return;
	d = distance(nearest->text, nearest->len, name + nearest->prefix, len);
	if (d >= nearest->distance)
		return;
	nearest->distance = d;
	snprintf(nearest->answer, sizeof(nearest->answer), "; did you mean %s?", name);
}

const char *nearest_text(const struct nearest *nearest)
{
	return nearest->answer;
}
