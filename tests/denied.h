/* SPDX-License-Identifier: MIT */
#ifndef TESTS_DENIED_H
#define TESTS_DENIED_H

/*
 * deny_as_named - io_uring_setup() fails from now on, in this process and what
 * it starts
 * @name: "EPERM" or "ENOSYS". Return: 0, or -errno.
 */
int deny_as_named(const char *name);

#endif
