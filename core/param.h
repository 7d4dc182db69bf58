/* SPDX-License-Identifier: MIT */
/*
 * Parameters inside: the values come from the environment and the command
 * line, in that order, before anything else runs.
 */
#ifndef CORE_PARAM_H
#define CORE_PARAM_H

#include <miniss/param.h>

#include "core/compiler.h"

struct mn_app;

struct param_list {
	const struct mn_param *const *start, *const *stop;
};

/* The parameters of a program: the library's have groups and the environment. */
struct param_set {
	struct param_list app, library;
};

#define param_for_each(p, list) for ((p) = (list)->start; (p) < (list)->stop; (p)++)

/* param_set_of - the parameters of an application with this library */
struct param_set param_set_of(const struct mn_app *app);

/*
 * params_parse - take values out of the environment and the command line
 * @argc, @argv: what is known is taken out, the rest stays in order
 * Return: 0, or MN_EXIT_USAGE after a message.
 */
int params_parse(const struct mn_app *app, int *argc, char **argv, char *const *env);
int params_parse_set(const struct param_set *set, int *argc, char **argv, char *const *env);

/* params_help - print every parameter with its value and range; 0. core/help.c */
int params_help(const struct mn_app *app);
void params_help_set(const struct param_set *set);

#define PARAM_SPELLING_MAX 80

/* param_option, param_environment - the spellings of a name: "--backend", "MINISS_BACKEND" */
void param_option(const struct mn_param *param, char text[static PARAM_SPELLING_MAX]);
void param_environment(const struct mn_param *param, char text[static PARAM_SPELLING_MAX]);

/* param_group_length - of "io_uring." in io_uring.sq_entries; 0 without a dot */
size_t param_group_length(const char *name);

#endif
