/* The same without its symbols, and with a build id that the test knows. */
#include "stacks.c"
