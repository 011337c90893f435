/* blocked N: N threads wait in futex, the leader reads standard input; for each byte read it makes 10 calls. On the
 * end of the input the process ends, and with it the threads inside their calls. "z": the leader's thread ends first. */
#include "counted.h"
#include <linux/futex.h>

static int word;
static void *wait_for_ever(void *unused) {
  syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
  return unused;
}
static void *serve(void *unused) {
  char byte;
  while (read(0, &byte, 1) == 1) {
    for (int i = 0; i < 10; i++) syscall(SYS_getppid);
    if (byte == 's') usleep(30000);
    if (write(1, "done\n", 5) != 5) exit(9);
  }
  exit(0);
  return unused;
}

int main(int argc, char **argv) {
  pthread_t id;
  for (int i = 0; i < atoi(argv[1]); i++) pthread_create(&id, NULL, wait_for_ever, NULL);
  usleep(20000);
  if (write(1, "ready\n", 6) != 6) return 9;
  if (argc > 2) { /* a leader that is a zombie while its process goes on */
    pthread_create(&id, NULL, serve, NULL);
    pthread_exit(NULL);
  }
  serve(NULL);
  return 0;
}
