/* harmless FOLDER: calls that fail as programs expect it, and such that fail alike and are not expected. FOLDER has a file
 * `found`, and `true` is below /bin or /usr/bin. What each does stands behind it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "counted.h"

static char path[4096];

static const char *in(const char *folder, const char *name) {
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  return path;
}

int main(int count, char **words) {
  if (count < 2) return 2;
  const char *there = words[1];
  struct stat unused;
  char byte;
  int pipes[2], pair[2];

  for (int i = 0; i < 5; i++) open(in("/nowhere/lib", "found"), O_RDONLY); /* openat ENOENT: 5 of 5 */
  if (open(in(there, "found"), O_RDONLY) < 0) return 3;

  stat(in("/nowhere/etc", "found"), &unused); /* newfstatat ENOENT: 2 of 3 */
  stat(in("/nowhere/home", "found"), &unused);
  if (stat(in(there, "found"), &unused)) return 3;
  stat(in("/nowhere/etc", "found"), &unused);

  for (int i = 0; i < 3; i++) access(in("/nowhere", "found"), R_OK); /* access ENOENT: none, as it finds another name */
  if (access(there, R_OK)) return 3;

  if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 4;
  for (int i = 0; i < 4; i++) isatty(pipes[0]);         /* ioctl ENOTTY: 4 of 5 */
  ioctl(pipes[0], TIOCGPGRP, &unused);
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  for (int i = 0; i < 6; i++) (void)!read(pipes[0], &byte, 1); /* read EAGAIN: 6 of 6; below one that waited */
  struct timeval limit = {0, 20000};
  setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  (void)!read(pair[0], &byte, 1); /* read (waited) EAGAIN: 0 of 1 */

  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(at);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(server, (void *)&at, size) || listen(server, 4) || getsockname(server, (void *)&at, &size)) return 5;
  connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (void *)&at, size); /* connect EINPROGRESS: 1 of 1 */

  int word = 0;
  syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0);                              /* futex EAGAIN: 1 of 1 */
  syscall(SYS_futex, &word, FUTEX_WAIT, 0, &(struct timespec){0, 10000000}, NULL, 0); /* futex ETIMEDOUT: 1 of 1 */

  if (fork() == 0) { /* execve ENOENT: 3 of 4 */
    setenv("PATH", "/nowhere/a:/nowhere/b:/nowhere/c:/usr/bin:/bin", 1);
    execve("/nowhere/other", (char *[]){"other", NULL}, environ);
    execvp("true", (char *[]){"true", NULL});
    _exit(1);
  }
  int status;
  if (wait(&status) < 0 || status) return 6;
  return 0;
}
