/* SPDX-License-Identifier: MIT */
/* What mn_run() prints instead of running, and tables of what runs. */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

struct mn_world;
struct topology;

void report_version(void);
void report_drivers(void);
void report_doctor(const struct mn_world *world, const struct topology *topology);

#endif
