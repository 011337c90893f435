/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once
/* bcc carries a copy of its own. */
#include <bcc/bpf.h>
