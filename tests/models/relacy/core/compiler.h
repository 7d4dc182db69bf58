/* SPDX-License-Identifier: MIT */
/* In place of core/compiler.h. C++. */
#include "core/driver.h"
