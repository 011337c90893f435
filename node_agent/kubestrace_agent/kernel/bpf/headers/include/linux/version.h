/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#pragma once
/* bcc stamps programs with it; only kprobes of kernels before 5.0 looked. */
#define LINUX_VERSION_CODE 0x050d00
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
