/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Included before everything else by bcc's command line. */
#pragma once
#define CONFIG_BPF_SYSCALL 1
#define CONFIG_64BIT 1
