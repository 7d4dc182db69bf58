/* SPDX-License-Identifier: MIT */
/*
 * Registration lists, laid out by the linker: one pointer per object, so
 * that padding between objects cannot matter. The order means nothing.
 */
#ifndef CORE_SECTION_H
#define CORE_SECTION_H

#define section_entry(list, id, obj)					\
	static const __typeof__(obj) *const list##_##id			\
	__attribute__((used, retain, section(#list))) = &(obj)

/* Weak: a list may be empty. */
#define section_declare(list, type)					\
	extern type const *const __start_##list[] __attribute__((weak, visibility("hidden"))); \
	extern type const *const __stop_##list[] __attribute__((weak, visibility("hidden")))

/* clang-format off */
#define section_for_each(p, list)					\
	for ((p) = __start_##list; (p) < __stop_##list; (p)++)
/* clang-format on */

#endif
