/* A program that knows its faults and switches: threads that touch pages and sleep, and a child that does, too. On a line
 * of input it begins; it prints what getrusage(2) says of itself and of its child since then: minor and major faults,
 * voluntary and involuntary switches. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, PAGES = 1000, SLEEPS = 20 };

static void *work(void *unused) {
  char *memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(2);
  madvise(memory, PAGES * 4096, MADV_NOHUGEPAGE);
  for (int page = 0; page < PAGES; page++) memory[page * 4096L] = 1;
  struct timespec pause = {.tv_nsec = 2000000};
  for (int i = 0; i < SLEEPS; i++) nanosleep(&pause, NULL);
  return unused;
}

static void run(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, work, NULL)) exit(2);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

int main(void) {
  char line[16];
  struct rusage before, own, child;
  setvbuf(stdout, NULL, _IONBF, 0);
  puts("ready");
  if (!fgets(line, sizeof(line), stdin)) return 1;
  getrusage(RUSAGE_SELF, &before);
  run();
  pid_t pid = fork();
  if (pid == 0) {
    run();
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, NULL, 0) != pid) return 1;
  getrusage(RUSAGE_SELF, &own);
  getrusage(RUSAGE_CHILDREN, &child);
  printf("%ld %ld %ld %ld\n", own.ru_minflt - before.ru_minflt + child.ru_minflt,
         own.ru_majflt - before.ru_majflt + child.ru_majflt, own.ru_nvcsw - before.ru_nvcsw + child.ru_nvcsw,
         own.ru_nivcsw - before.ru_nivcsw + child.ru_nivcsw);
  return 0;
}
