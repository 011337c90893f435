/* Calls that fail, whose files and peers are named in other ways than by a whole path. Argument: an empty folder. */
#include "counted.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void long_paths(const char *folder) {
  char path[700];
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 3000; i++) {
      snprintf(path, sizeof(path), "%s/a-folder-of-many-bytes-%0150d/chunk-%d.js", folder, 0, i % 50);
      openat(AT_FDCWD, path, O_RDONLY);
    }
    snprintf(path, sizeof(path), "%s/a-folder-of-many-bytes-%0150d/license.key", folder, 0);
    if (!round) openat(AT_FDCWD, path, O_RDONLY);
  }
}

static void relative(const char *folder) {
  if (chdir(folder)) exit(9);
  int here = open(".", O_RDONLY | O_DIRECTORY);
  openat(AT_FDCWD, "app.yaml", O_RDONLY);
  mkdirat(here, "no/such", 0700);
  rmdir("gone");
}

static void peers(void) {
  struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(5353)};
  inet_pton(AF_INET, "127.0.0.1", &nobody.sin_addr);
  char bytes[8];
  struct iovec one = {bytes, 1};
  struct msghdr message = {.msg_name = &nobody, .msg_namelen = sizeof(nobody), .msg_iov = &one, .msg_iovlen = 1};
  struct mmsghdr many = {.msg_hdr = message};
  int stream = socket(AF_INET, SOCK_STREAM, 0);
  sendmsg(stream, &message, MSG_NOSIGNAL);
  sendmmsg(stream, &many, 1, MSG_NOSIGNAL);
}

int main(int count, char **words) {
  if (count != 3) return 2;
  if (!strcmp(words[1], "long")) long_paths(words[2]);
  if (!strcmp(words[1], "relative")) relative(words[2]);
  if (!strcmp(words[1], "peers")) peers();
  return 0;
}
