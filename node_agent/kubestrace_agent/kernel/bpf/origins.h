/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What origins.bpf.c tells, for both sides. */
#pragma once

/* Of an executable: it has no name in any folder any more; it never had one, as a memfd. */
#define FILE_DELETED 1
#define FILE_DETACHED 2
/* Of a process: its parent is outside of the container, and the first process of its pid namespace is inside, or not. */
enum origin { FROM_INSIDE, FROM_OUTSIDE, FROM_OUTSIDE_OR_FIRST };
/* Depth of cgroups below the container's in which a parent is looked for. */
#define PARENT_LEVELS 8
