// SPDX-License-Identifier: MIT
#include "backends/backend.h"

section_declare(backend_drivers, struct driver);

const struct driver_kind backend_kind = {
	.title = "backend",
	.option = "--backend",
	.preferred = CONFIG_BACKEND_DEFAULT,
	.start = __start_backend_drivers,
	.stop = __stop_backend_drivers,
};
