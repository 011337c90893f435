/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#pragma once
/* Sizes of tables, which are ours and powers of two. */
#define roundup_pow_of_two(n) (n)
