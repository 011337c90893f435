/* A 32-bit program without a library: gcc -m32 -nostdlib. 33 times getppid, 4 times close(-1), exit_group. */
static long call(long nr, long a, long b, long c) {
  long ret;
  asm volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
  return ret;
}

void _start(void) {
  static const char words[] = "getppid i386 33 0 0 33\nclose i386 4 4 0 4\nexit_group i386 1 0 0 0\nwrite i386 1 0 0 1\n";
  for (int i = 0; i < 33; i++) call(64, 0, 0, 0);
  for (int i = 0; i < 4; i++) call(6, -1, 0, 0);
  call(4, 1, (long)words, sizeof(words) - 1);
  call(252, 0, 0, 0);
}
