// SPDX-License-Identifier: MIT
/* With several backends built, each call jumps through the table of its object. */
#include "backends/backend.h"

BACKEND_CALLS(be->ops)
