/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#pragma once
/* The preamble includes it; nothing of it is used. */
#include <linux/types.h>
