/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#pragma once
/* bcc carries a copy of its own. */
#include <bcc/bpf.h>
