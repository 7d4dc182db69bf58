/* SPDX-License-Identifier: MIT */
/* What mn_run() prints instead of running, and tables of what runs. */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

struct mn_world;
struct topology;

void report_version(void);
void report_drivers(void);
void report_chosen(const struct mn_world *world);

/* doctor.c: in this order. What the kernel has; a world that is open; how much is to be mended. */
void doctor_kernel(void);
void doctor_world(const struct mn_world *world, const struct topology *topology);
unsigned int doctor_verdict(void);

#endif
