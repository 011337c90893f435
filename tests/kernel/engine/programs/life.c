/* A whole life of known calls, without a C library to add its own: `life N [t]` makes N getppid, one openat of a file that
 * is not there and ends with 3; with `t` it first waits for a byte. */
#if defined(__x86_64__)
enum { READ = 0, GETPPID = 110, OPENAT = 257, EXIT_GROUP = 231 };

static long call(long number, long a, long b, long c, long d) {
  long result;
  register long fourth __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                   : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
#elif defined(__aarch64__)
enum { READ = 63, GETPPID = 173, OPENAT = 56, EXIT_GROUP = 94 };

static long call(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}

__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl run\n");
#endif

void run(long *stack) {
  char **arguments = (char **)(stack + 1), word;
  long count = 0;
  for (char *digit = arguments[1]; *digit; digit++) count = 10 * count + *digit - '0';
  if (stack[0] > 2) call(READ, 0, (long)&word, 1, 0);
  for (long i = 0; i < count; i++) call(GETPPID, 0, 0, 0, 0);
  call(OPENAT, -100, (long)"/no/such/file", 0, 0);
  call(EXIT_GROUP, 3, 0, 0, 0);
}
