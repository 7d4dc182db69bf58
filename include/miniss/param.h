/* SPDX-License-Identifier: MIT */
/*
 * Parameters: each file declares its own. MN_PARAM(uint, sq_entries, 256,
 * 16, 32768, "submission queue entries per shard") in backends/io_uring is
 * the variable param_sq_entries, the option --io_uring.sq_entries=N, the
 * environment variable MINISS_IO_URING_SQ_ENTRIES and a line of --help.
 *
 * An application declares its own with MN_APP_PARAM in the same way; they
 * have no prefix and no environment variable. A bool is set by --name,
 * --name=on or --name=off. In options '-' and '_' are the same. A default
 * outside of the range of a number means that the program chooses.
 */
#ifndef MINISS_PARAM_H
#define MINISS_PARAM_H

#include <miniss/types.h>

enum mn_param_type { MN_PARAM_UINT, MN_PARAM_INT64, MN_PARAM_BOOL, MN_PARAM_STR };

struct mn_param {
	const char *name;	/* with its prefix */
	const char *help;
	void *value;
	const char **origin;	/* the option or variable that set it, or NULL */
	int64_t min, max;	/* of a number; length of a string, max 0: any */
	enum mn_param_type type;
};

#define MN__PARAM_CTYPE_uint	uint32_t
#define MN__PARAM_CTYPE_int64	int64_t
#define MN__PARAM_CTYPE_bool	bool
#define MN__PARAM_CTYPE_str	const char *
#define MN__PARAM_TYPE_uint	MN_PARAM_UINT
#define MN__PARAM_TYPE_int64	MN_PARAM_INT64
#define MN__PARAM_TYPE_bool	MN_PARAM_BOOL
#define MN__PARAM_TYPE_str	MN_PARAM_STR

/* clang-format off */
/* The type is pasted where the parameter is declared: bool may be a macro. */
#define MN__PARAM(list, prefix, ctype, ptype, var, def, lo, hi, text)	\
	static ctype param_##var = def;					\
	static const char *param_origin_##var;				\
	static const struct mn_param param_desc_##var = {		\
		.name = prefix #var, .help = text,			\
		.value = &param_##var, .origin = &param_origin_##var,	\
		.min = lo, .max = hi,					\
		.type = ptype,						\
	};								\
	static const struct mn_param *const param_entry_##var		\
	__attribute__((used, retain, section(#list))) = &param_desc_##var

/* The library's own files: PARAM_PREFIX is set by the directory's Makefile. */
#ifdef PARAM_PREFIX
#define MN_PARAM(type, var, def, lo, hi, text)				\
	MN__PARAM(mn_params, PARAM_PREFIX, MN__PARAM_CTYPE_##type, MN__PARAM_TYPE_##type, \
		  var, def, lo, hi, text)
#endif

#define MN_APP_PARAM(type, var, def, lo, hi, text)			\
	MN__PARAM(mn_app_params, "", MN__PARAM_CTYPE_##type, MN__PARAM_TYPE_##type, \
		  var, def, lo, hi, text)
/* clang-format on */

#endif
