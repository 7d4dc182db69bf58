// SPDX-License-Identifier: MIT
/* --help: every parameter, the application's first, then by group. */
#include <stdio.h>
#include <string.h>

#include <miniss/run.h>

#include "core/log.h"
#include "core/param.h"

#define COLUMN 32 /* where the text begins */

/* By group, those without one first; then by name. */
static bool param_before(const struct mn_param *a, const struct mn_param *b)
{
	bool a_grouped = param_group_length(a->name), b_grouped = param_group_length(b->name);

	if (a_grouped != b_grouped)
		return b_grouped;
	return strcmp(a->name, b->name) < 0;
}

/* The sections have no order: find the next one, as long as there is one. */
static const struct mn_param *param_next(const struct param_list *list, const struct mn_param *prev)
{
	const struct mn_param *const *p, *next = NULL;

	param_for_each(p, list) {
		if (prev && !param_before(prev, *p))
			continue;
		if (!next || param_before(*p, next))
			next = *p;
	}
	return next;
}

static void value_format(const struct mn_param *param, char *text, size_t size)
{
	int64_t number = 0;
	const char *str;

	switch (param->type) {
	case MN_PARAM_BOOL:
		snprintf(text, size, "%s", *(const bool *)param->value ? "on" : "off");
		return;
	case MN_PARAM_STR:
		str = *(const char *const *)param->value;
		snprintf(text, size, "%s", str ? str : "");
		return;
	case MN_PARAM_UINT:
		number = *(const uint32_t *)param->value;
		break;
	case MN_PARAM_INT64:
		number = *(const int64_t *)param->value;
		break;
	}
	if (number < param->min || number > param->max)
		snprintf(text, size, "automatic; %lld to %lld", (long long)param->min,
			 (long long)param->max);
	else
		snprintf(text, size, "%lld; %lld to %lld", (long long)number, (long long)param->min,
			 (long long)param->max);
}

static void param_print(const struct mn_param *param)
{
	static const char *const kinds[] = {
		[MN_PARAM_UINT] = "=N",
		[MN_PARAM_INT64] = "=N",
		[MN_PARAM_BOOL] = "",
		[MN_PARAM_STR] = "=TEXT",
	};
	char name[PARAM_SPELLING_MAX], left[PARAM_SPELLING_MAX + 8], value[96];

	param_option(param, name);
	snprintf(left, sizeof(left), "  %s%s", name, kinds[param->type]);
	value_format(param, value, sizeof(value));
	if (strlen(left) >= COLUMN)
		print_out("%s\n%*s", left, COLUMN, "");
	else
		print_out("%-*s", COLUMN, left);
	if (value[0] && strcmp(value, "off"))
		print_out("%s [%s]\n", param->help, value);
	else
		print_out("%s\n", param->help);
}

static void list_print(const struct param_list *list, const char *title)
{
	const struct mn_param *param = NULL, *prev = NULL;

	while ((param = param_next(list, param))) {
		size_t group = param_group_length(param->name);

		if (group && (!prev || strncmp(prev->name, param->name, group)))
			print_out("\n%.*s:\n", (int)group - 1, param->name);
		else if (!prev)
			print_out("\n%s:\n", title);
		param_print(param);
		prev = param;
	}
}

void params_help_set(const struct param_set *set)
{
	list_print(&set->app, "Options");
	list_print(&set->library, "Runtime");
	print_out("\nIn brackets: the value, with its range. A runtime option is an environment\n"
		  "variable, too: MINISS_LOG_LEVEL=1 is --log-level=1; options win.\n");
}

int params_help(const struct mn_app *app)
{
	struct param_set set = param_set_of(app);

	print_out("Usage: %s [--option=value]... [argument]...\n", log_program_name());
	params_help_set(&set);
	return MN_EXIT_OK;
}
