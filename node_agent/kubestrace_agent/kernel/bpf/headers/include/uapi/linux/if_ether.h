#pragma once
/* The preamble includes it; nothing of it is used. */
#include <linux/types.h>
