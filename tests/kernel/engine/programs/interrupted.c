/* Signals in the middle of calls: restarts are no errors, EINTR is one. */
#include "counted.h"
#include <sys/epoll.h>
#include <sys/time.h>

static void handler(int signal) { (void)signal; }

static void alarm_in_a_while(int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  struct itimerval soon = {.it_value = {.tv_usec = 3000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
}

static void *write_later(void *fd) {
  usleep(200000);
  if (write(*(int *)fd, "x", 1) != 1) exit(9);
  return NULL;
}

int main(void) {
  for (int i = 0; i < 10; i++) { alarm_in_a_while(0); syscall(SYS_pause); }            /* ERESTARTNOHAND */
  struct timespec second = {1, 0};
  for (int i = 0; i < 4; i++) { alarm_in_a_while(0); syscall(SYS_nanosleep, &second, NULL); } /* ERESTART_RESTARTBLOCK */
  int epoll = epoll_create1(0);
  struct epoll_event event;
  for (int i = 0; i < 5; i++) { alarm_in_a_while(0); syscall(SYS_epoll_wait, epoll, &event, 1, 1000); } /* EINTR */
  int ends[2];
  char word;
  for (int i = 0; i < 6; i++) { /* ERESTARTSYS: readv is made again by the kernel */
    pthread_t id;
    if (pipe(ends)) return 9;
    struct { void *at; unsigned long length; } part = {&word, 1};
    pthread_create(&id, NULL, write_later, &ends[1]);
    alarm_in_a_while(SA_RESTART);
    sigset_t none;
    sigemptyset(&none);
    if (syscall(SYS_readv, ends[0], &part, 1) != 1) return 9;
    pthread_join(id, NULL);
    close(ends[0]), close(ends[1]);
  }
  pid_t child = fork(); /* stopped and continued in the middle: the kernel goes on by restart_syscall */
  if (child == 0) {
    struct timespec while_stopped = {2, 0}; /* on a busy machine as well */
    syscall(SYS_nanosleep, &while_stopped, NULL);
    _exit(0);
  }
  usleep(300000);
  kill(child, SIGSTOP);
  waitpid(child, NULL, WUNTRACED);
  kill(child, SIGCONT);
  waitpid(child, NULL, 0);
  tell_abi("pause", "-", 10, 0, 10, 10);
  tell_abi("nanosleep", "-", 5, 0, 5, 5);
  tell("restart_syscall", 1, 0);
  tell_abi("epoll_wait", "-", 5, 5, 0, 5);
  tell_abi("readv", "-", 12, 0, 6, 12);
  return 0;
}
