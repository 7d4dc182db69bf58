// SPDX-License-Identifier: MIT
/*
 * Parameters: from MINISS_* variables and options to values.
 *
 * A value that cannot be understood is refused, never clipped or ignored: a
 * typo that silently means the default costs somebody a day. The same goes
 * for MINISS_* variables that nobody knows and for options of a known group
 * (--io_uring.nosuch). Options without a group may be the application's, so
 * they stay; the application refuses them with mn_args_end().
 */
#include <string.h>

#include <miniss/log.h>
#include <miniss/run.h>

#include "core/nearest.h"
#include "core/param.h"
#include "core/section.h"

#define ENV_PREFIX "MINISS_"

section_declare(mn_params, struct mn_param);

struct param_set param_set_of(const struct mn_app *app)
{
	return (struct param_set){
		.app = { app->params_start, app->params_end },
		.library = { __start_mn_params, __stop_mn_params },
	};
}

size_t param_group_length(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? (size_t)(dot - name) + 1 : 0;
}

/* Options without a group are spelled as people spell options: --list-drivers. */
void param_option(const struct mn_param *param, char text[static PARAM_SPELLING_MAX])
{
	bool group = param_group_length(param->name);
	size_t i;

	memcpy(text, "--", 2);
	for (i = 0; param->name[i] && i + 3 < PARAM_SPELLING_MAX; i++)
		text[i + 2] = param->name[i] == '_' && !group ? '-' : param->name[i];
	text[i + 2] = '\0';
}

static char environment_char(char c)
{
	if (c == '.' || c == '-')
		return '_';
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

void param_environment(const struct mn_param *param, char text[static PARAM_SPELLING_MAX])
{
	size_t n = strlen(ENV_PREFIX), i;

	memcpy(text, ENV_PREFIX, n);
	for (i = 0; param->name[i] && n + i + 1 < PARAM_SPELLING_MAX; i++)
		text[n + i] = environment_char(param->name[i]);
	text[n + i] = '\0';
}

static bool name_equal(const char *name, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] != text[i] && !(name[i] == '_' && text[i] == '-'))
			return false;
	return !name[len];
}

static const struct mn_param *list_find(const struct param_list *list, const char *text, size_t len)
{
	const struct mn_param *const *p;

	param_for_each(p, list)
		if (name_equal((*p)->name, text, len))
			return *p;
	return NULL;
}

/* Decimal, or hexadecimal after 0x. False for anything else, or too large. */
static bool parse_number(const char *text, int64_t *value)
{
	unsigned int base = 10, digit;
	bool negative = *text == '-';
	uint64_t sum = 0, limit = (uint64_t)INT64_MAX + negative;

	text += negative;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text >= '0' && *text <= '9')
			digit = (unsigned int)(*text - '0');
		else if ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'f')
			digit = (unsigned int)((*text | 0x20) - 'a' + 10);
		else
			return false;
		if (digit >= base || sum > (limit - digit) / base)
			return false;
		sum = sum * base + digit;
	}
	*value = (int64_t)(negative ? -sum : sum);
	return true;
}

static bool set_number(const struct mn_param *param, const char *text)
{
	int64_t value;

	if (!parse_number(text, &value) || value < param->min || value > param->max)
		return false;
	if (param->type == MN_PARAM_UINT)
		*(uint32_t *)param->value = (uint32_t)value;
	else
		*(int64_t *)param->value = value;
	return true;
}

static bool set_bool(const struct mn_param *param, const char *text)
{
	bool on = !text || !strcmp(text, "on");

	if (!on && strcmp(text, "off"))
		return false;
	*(bool *)param->value = on;
	return true;
}

static bool set_str(const struct mn_param *param, const char *text)
{
	int64_t len = (int64_t)strlen(text);

	if (len < param->min || (param->max && len > param->max))
		return false;
	*(const char **)param->value = text;
	return true;
}

/*
 * Set a parameter.
 * @text: the value, or NULL when there was no '='
 * @origin: what the user wrote, of which @text is the end
 */
static int value_set(const struct mn_param *param, const char *text, const char *origin)
{
	long long lo = param->min, hi = param->max;

	*param->origin = origin;
	if (!text && param->type != MN_PARAM_BOOL) {
		mn_err("%s: needs a value, %s=...", origin, origin);
		return MN_EXIT_USAGE;
	}
	switch (param->type) {
	case MN_PARAM_BOOL:
		if (set_bool(param, text))
			return 0;
		mn_err("%s: must be on or off", origin);
		break;
	case MN_PARAM_STR:
		if (set_str(param, text))
			return 0;
		mn_err("%s: must have %lld to %lld characters", origin, lo, hi);
		break;
	case MN_PARAM_UINT:
	case MN_PARAM_INT64:
		if (set_number(param, text))
			return 0;
		mn_err("%s: must be a number from %lld to %lld", origin, lo, hi);
		break;
	}
	return MN_EXIT_USAGE;
}

/* "NAME=value" of the environment; variables that are not ours are fine. */
static int environment_parse(const struct param_list *library, const char *var)
{
	char known[PARAM_SPELLING_MAX];
	const struct mn_param *const *p;
	const char *equals = strchr(var, '=');
	size_t len = equals ? (size_t)(equals - var) : strlen(var);
	struct nearest nearest;

	if (!equals || strncmp(var, ENV_PREFIX, strlen(ENV_PREFIX)))
		return 0;
	nearest_init(&nearest, var, len, strlen(ENV_PREFIX));
	param_for_each(p, library) {
		param_environment(*p, known);
		if (!strncmp(known, var, len) && !known[len])
			return value_set(*p, equals + 1, var);
		nearest_try(&nearest, known);
	}
	mn_err("%.*s in the environment: no such parameter%s", (int)len, var,
	       nearest_text(&nearest));
	return MN_EXIT_USAGE;
}

/*
 * "--name", which was not found: is there such a group? If so, the nearest
 * name in it goes to @nearest.
 */
static bool group_nearest(const struct param_list *library, const char *arg, size_t len,
			  struct nearest *nearest)
{
	const struct mn_param *const *p;
	bool found = false;

	param_for_each(p, library) {
		size_t group = param_group_length((*p)->name);
		char known[PARAM_SPELLING_MAX];

		param_option(*p, known);
		if (!group || group + 2 > len || strncmp(known, arg, group + 2))
			continue;
		if (!found)
			nearest_init(nearest, arg, len, group + 2);
		found = true;
		nearest_try(nearest, known);
	}
	return found;
}

/* Return: 0 taken, -1 not ours, or MN_EXIT_USAGE. */
static int option_parse(const struct param_set *set, const char *arg)
{
	const char *equals = strchr(arg, '=');
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
	const struct mn_param *param;
	struct nearest nearest;

	if (len < 2 || strncmp(arg, "--", 2))
		return -1;
	param = list_find(&set->app, arg + 2, len - 2);
	if (!param)
		param = list_find(&set->library, arg + 2, len - 2);
	if (param)
		return value_set(param, equals ? equals + 1 : NULL, arg);
	if (!group_nearest(&set->library, arg, len, &nearest))
		return -1;
	mn_err("%.*s: no such parameter%s", (int)len, arg, nearest_text(&nearest));
	return MN_EXIT_USAGE;
}

int params_parse_set(const struct param_set *set, int *argc, char **argv, char *const *env)
{
	int in = 1, out = 1, ret;

	for (; env && *env; env++) {
		ret = environment_parse(&set->library, *env);
		if (ret)
			return ret;
	}
	for (; in < *argc; in++) {
		if (!strcmp(argv[in], "--")) {
			in++;
			break;
		}
		ret = option_parse(set, argv[in]);
		if (ret > 0)
			return ret;
		if (ret < 0)
			argv[out++] = argv[in];
	}
	while (in < *argc)
		argv[out++] = argv[in++];
	if (out < *argc)
		argv[out] = NULL;
	*argc = out;
	return 0;
}

int params_parse(const struct mn_app *app, int *argc, char **argv, char *const *env)
{
	struct param_set set = param_set_of(app);

	return params_parse_set(&set, argc, argv, env);
}

int mn_args_end(char *const *argv, int positional_max)
{
	const struct param_list library = { __start_mn_params, __stop_mn_params };
	const struct mn_param *const *p;
	struct nearest nearest;

	for (int i = 1; argv[0] && argv[i]; i++) {
		size_t len = strcspn(argv[i], "=");

		if (argv[i][0] != '-' || !argv[i][1]) {
			if (positional_max-- > 0)
				continue;
			mn_err("unexpected argument %s", argv[i]);
			return MN_EXIT_USAGE;
		}
		nearest_init(&nearest, argv[i], len, len < 2 ? 0 : 2);
		param_for_each(p, &library) {
			char known[PARAM_SPELLING_MAX];

			param_option(*p, known);
			nearest_try(&nearest, known);
		}
		mn_err("unknown option %.*s%s", (int)len, argv[i], nearest_text(&nearest));
		return MN_EXIT_USAGE;
	}
	return 0;
}
