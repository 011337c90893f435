#pragma once
/* bcc carries a copy of its own. */
#include <bcc/bpf.h>
