/* SPDX-License-Identifier: MIT */
/* In place of backends/backend.h: wake-ups are counted by who defines this. C++. */
#ifndef BACKENDS_BACKEND_H
#define BACKENDS_BACKEND_H

struct backend;
void backend_wake(struct backend *be);

#endif
