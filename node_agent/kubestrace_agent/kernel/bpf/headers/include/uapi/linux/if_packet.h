/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once
/* The preamble includes it; nothing of it is used. */
#include <linux/types.h>
