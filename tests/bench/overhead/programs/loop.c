/* Makes cheap system calls: loop getppid|read|storm. For each line with milliseconds on its input it runs so long and
 * says how many calls it made and the nanoseconds of one, as the quickest tenth of batches had it: whoever else runs on
 * the machine disturbs the others. The storm has a thread on each CPU and calls of four kinds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 400
#define MOST_BATCHES 100000
#define MOST_CPUS 256

enum kind { GETPPID, READ, STORM };
struct thread {
  int cpu;
  long batches;
  double *ns;
};

static enum kind kind;
static int zero;
static double run_ns;
static pthread_barrier_t begin, done;

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static void batch(void) {
  char byte;
  if (kind == GETPPID)
    for (int i = 0; i < BATCH; i++) syscall(SYS_getppid);
  else if (kind == READ)
    for (int i = 0; i < BATCH; i++) syscall(SYS_read, zero, &byte, 1);
  else
    for (int i = 0; i < BATCH / 4; i++) {
      syscall(SYS_getppid);
      syscall(SYS_read, zero, &byte, 1);
      syscall(SYS_getuid);
      syscall(SYS_lseek, zero, 0, SEEK_SET);
    }
}

static void work(struct thread *thread) {
  double from = now_ns(), end = from + run_ns;
  for (thread->batches = 0; from < end && thread->batches < MOST_BATCHES; thread->batches++) {
    batch();
    double to = now_ns();
    thread->ns[thread->batches] = (to - from) / BATCH;
    from = to;
  }
}

/* Threads are there before a tracer comes: not every one sees those that are made later. */
static void *storm(void *argument) {
  struct thread *thread = argument;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(thread->cpu, &cpus);
  sched_setaffinity(0, sizeof(cpus), &cpus);
  for (;;) {
    pthread_barrier_wait(&begin);
    work(thread);
    pthread_barrier_wait(&done);
  }
  return NULL;
}

static int ascending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

int main(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "";
  kind = !strcmp(word, "read") ? READ : !strcmp(word, "storm") ? STORM : GETPPID;
  int count = kind == STORM ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
  if (count > MOST_CPUS) count = MOST_CPUS;
  struct thread threads[MOST_CPUS];
  double *all = malloc(sizeof(double) * MOST_BATCHES * count);
  zero = open("/dev/zero", O_RDONLY);
  for (int i = 0; i < count; i++) {
    threads[i].cpu = i;
    threads[i].ns = malloc(sizeof(double) * MOST_BATCHES);
    /* Pages that are there cost no fault in the loop. */
    memset(threads[i].ns, 0, sizeof(double) * MOST_BATCHES);
  }
  pthread_barrier_init(&begin, NULL, count + 1);
  pthread_barrier_init(&done, NULL, count + 1);
  pthread_t id;
  for (int i = 0; kind == STORM && i < count; i++) pthread_create(&id, NULL, storm, &threads[i]);
  char line[64];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof(line), stdin)) {
    run_ns = atof(line) * 1e6;
    if (kind == STORM) {
      pthread_barrier_wait(&begin);
      pthread_barrier_wait(&done);
    } else {
      work(&threads[0]);
    }
    long batches = 0;
    for (int i = 0; i < count; i++) {
      memcpy(all + batches, threads[i].ns, threads[i].batches * sizeof(double));
      batches += threads[i].batches;
    }
    qsort(all, batches, sizeof(double), ascending);
    printf("%ld %.2f\n", batches * BATCH, all[batches / 10]);
    fflush(stdout);
  }
  return 0;
}
