/* A family whose members count for themselves. Each line that is printed: PID CALLS END, calls of getppid.
 * work N: three children make N, 2N and 3N calls and exit with 1, 2 and 3.
 * signal: a child makes 7 calls and ends itself by SIGKILL.
 * threads N: 4 threads that live at once make N calls each; the process exits with 5.
 * exec: a thread that is not the first makes 3 calls and executes this program as `after`, which makes 4 and exits with 6.
 * fail: a child tries to execute what is not there, makes 2 calls and exits with 127.
 * stay: 5 calls, waits for a word, 5 more, and 3 at the next word. */
#include "counted.h"

static void call(long times) {
  for (long i = 0; i < times; i++) syscall(SYS_getppid);
}

static void say(long calls, long end) {
  printf("%d %ld %ld\n", getpid(), calls, end);
  fflush(stdout);
}

static pthread_barrier_t barrier;
static void *work(void *times) {
  pthread_barrier_wait(&barrier);
  call((long)times);
  pthread_barrier_wait(&barrier);
  return NULL;
}

static char *own;
static void *execute(void *unused) {
  call(3);
  execl(own, "after", "after", "a secret", NULL);
  return unused;
}

int main(int count, char **words) {
  const char *what = words[1];
  long times = count > 2 ? atol(words[2]) : 0;
  own = realpath("/proc/self/exe", NULL);
  if (strcmp(what, "work") == 0) {
    for (long n = 1; n <= 3; n++) {
      if (fork() == 0) {
        call(n * times);
        say(n * times, n);
        _exit(n);
      }
      wait(NULL);
    }
  } else if (strcmp(what, "signal") == 0) {
    if (fork() == 0) {
      call(7);
      say(7, 0);
      kill(getpid(), SIGKILL);
    }
    wait(NULL);
  } else if (strcmp(what, "threads") == 0) {
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, 4);
    if (fork() == 0) {
      for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, (void *)times);
      for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
      say(4 * times, 5);
      exit(5);
    }
    wait(NULL);
  } else if (strcmp(what, "exec") == 0) {
    pthread_t thread;
    if (fork() == 0) {
      pthread_create(&thread, NULL, execute, NULL);
      pause();
    }
    wait(NULL);
  } else if (strcmp(what, "after") == 0) {
    call(4);
    say(7, 6);
    return 6;
  } else if (strcmp(what, "fail") == 0) {
    if (fork() == 0) {
      execl("/nowhere/at/all", "nothing", NULL);
      call(2);
      say(2, 127);
      _exit(127);
    }
    wait(NULL);
  } else if (strcmp(what, "stay") == 0) {
    call(5);
    wait_for_go();
    call(5);
    say(5, 0);
    wait_for_go();
    call(3);
    say(3, 0);
  }
  return 0;
}
