/* odd_tasks WAY: tasks that come, go and change in odd ways; each makes calls that are counted here. */
#include "counted.h"
#include <sys/mman.h>
#include <sys/prctl.h>

static void calls(int count) {
  for (int i = 0; i < count; i++) syscall(SYS_getppid);
}
static void check(int wrong) {
  if (wrong) exit(9);
}

/* Each process makes the next one by vfork, which becomes this program anew. */
static void vforks(int left, const char *self) {
  char number[16];
  calls(10);
  if (left == 0) return;
  sprintf(number, "%d", left - 1);
  pid_t child = syscall(SYS_vfork) ?: execl(self, self, "vforks", number, NULL);
  check(waitpid(child, NULL, 0) != child);
}

static int shares_memory(void *unused) {
  calls(100);
  syscall(SYS_exit, 0);
  return unused != NULL;
}
/* Processes that share the memory of this one, and are none of its threads. */
static void shared(void) {
  char *stacks = mmap(NULL, 20 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 20; i++) check(clone(shares_memory, stacks + ((i + 1) << 16), CLONE_VM | SIGCHLD, NULL) < 0);
  while (wait(NULL) > 0) {}
  tell("getppid", 2000, 0);
  tell_abi("exit", "-", 20, 0, 0, 0);
}

static void namespaces(void) {
  check(unshare(CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWNS));
  for (int i = 0; i < 5; i++) {
    pid_t child = fork();
    if (child == 0) {
      check(unshare(CLONE_NEWUSER | CLONE_NEWNET));
      calls(100);
      _exit(i); /* the first one is the init of its namespace: no fork is possible after its end */
    }
    waitpid(child, NULL, 0);
    if (i == 0) break;
  }
  calls(11);
  tell("getppid", 111, 0);
}

static volatile int go;
static char *self_path, *way, depth[16];
static void *execs(void *unused) {
  while (!go) {}
  execl(self_path, self_path, way, depth, NULL);
  return unused;
}
/* All threads call execve at once: one of them wins, the others are killed in the middle of it. */
static void execve_storm(int left, char *self) {
  pthread_t id;
  calls(10);
  self_path = self;
  way = "execs";
  sprintf(depth, "%d", left - 1);
  if (left == 0) {
    tell("getppid", 260, 0);
    return;
  }
  for (int i = 0; i < 8; i++) check(pthread_create(&id, NULL, execs, NULL));
  go = 1;
  pause();
}

static void failing(char *file) {
  char *none[] = {NULL};
  int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0700);
  check(fd < 0 || write(fd, "no program", 10) != 10 || close(fd));
  for (int i = 0; i < 30; i++) syscall(SYS_execve, "/nowhere", none, none);
  for (int i = 0; i < 20; i++) syscall(SYS_execve, file, none, none);
  unlink(file);
  tell_abi("execve", "-", 51, 50, 0, 51);
}

static volatile int *ready;
static void *ends_in_the_middle(void *unused) {
  calls(50);
  __sync_fetch_and_add(ready, 1);
  syscall(SYS_nanosleep, &(struct timespec){3600, 0}, NULL);
  return unused;
}
/* Processes with eight threads in the middle of a call, killed. */
static void killed(void) {
  ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 10; i++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t id;
      for (int t = 0; t < 8; t++) check(pthread_create(&id, NULL, ends_in_the_middle, NULL));
      pause();
    }
    while (*ready < 8 * (i + 1)) usleep(1000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  tell("getppid", 4000, 0);
}

static void *hops(void *which) {
  cpu_set_t one;
  int cpus = sysconf(_SC_NPROCESSORS_ONLN);
  for (int i = 0; i < 2000; i++) {
    CPU_ZERO(&one);
    CPU_SET((i + (int)(long)which) % cpus, &one);
    check(syscall(SYS_sched_setaffinity, 0, sizeof(one), &one) < 0);
    calls(1);
  }
  return NULL;
}
/* Threads that go to another CPU in each other call. */
static void hopping(void) {
  pthread_t ids[4];
  for (long i = 0; i < 4; i++) pthread_create(&ids[i], NULL, hops, (void *)i);
  for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
  tell("sched_setaffinity", 8000, 0);
  tell("getppid", 8000, 0);
}

static void *renames(void *unused) {
  char name[16];
  for (int i = 0; i < 500; i++) {
    sprintf(name, "n%d\033[1m", i);
    prctl(PR_SET_NAME, name);
    calls(1);
  }
  return unused;
}
/* The first thread ends; the others go on and one of them becomes this program anew. */
static void leaderless(int again, char *self) {
  pthread_t id;
  if (again) {
    calls(10);
    tell("getppid", 1510, 0);
    return;
  }
  for (int i = 0; i < 3; i++) pthread_create(&id, NULL, renames, NULL);
  usleep(100000);
  self_path = self;
  way = "leaderless";
  sprintf(depth, "1");
  pthread_create(&id, NULL, execs, NULL);
  go = 1;
  pthread_exit(NULL);
}

int main(int count, char **words) {
  int number = count > 2 ? atoi(words[2]) : 0;
  if (count < 2) return 2;
  if (!strcmp(words[1], "vforks")) {
    vforks(number, words[0]);
    if (number == 40) {
      tell("getppid", 410, 0);
      tell("vfork", 40, 0);
      tell("execve", 41, 0);
    }
  } else if (!strcmp(words[1], "shared")) {
    shared();
  } else if (!strcmp(words[1], "namespaces")) {
    namespaces();
  } else if (!strcmp(words[1], "execs")) {
    execve_storm(number, words[0]);
  } else if (!strcmp(words[1], "failing")) {
    failing(words[2]);
  } else if (!strcmp(words[1], "killed")) {
    killed();
  } else if (!strcmp(words[1], "hopping")) {
    hopping();
  } else if (!strcmp(words[1], "leaderless")) {
    leaderless(number, words[0]);
  } else {
    return 2;
  }
  return 0;
}
