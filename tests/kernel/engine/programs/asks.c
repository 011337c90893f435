/* Asks 127.0.0.1:53 for a name, without a resolver and without a C library's calls, and prints nothing.
 * asks NAME: by sendto and recvfrom of a socket without a peer; then by write and read of one by TCP. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned char room[1024];

/* The query, from room[2] on. How long it is. */
static size_t make_query(const char *name) {
  unsigned char *at = room + 2;
  memcpy(at, "\x12\x34\x01\0\0\1\0\0\0\0\0", 12);
  at += 12;
  while (*name) {
    size_t bytes = strcspn(name, ".");
    *at++ = bytes;
    memcpy(at, name, bytes);
    at += bytes;
    name += bytes + (name[bytes] == '.');
  }
  memcpy(at, "\0\0\x1c\0\1", 5);
  return at + 5 - (room + 2);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  size_t bytes = make_query(argv[1]);
  long udp = syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
  if (syscall(SYS_sendto, udp, room + 2, bytes, 0, &server, sizeof(server)) != (long)bytes) return 3;
  if (syscall(SYS_recvfrom, udp, room, sizeof(room), 0, NULL, NULL) < 12) return 4;
  bytes = make_query(argv[1]);
  room[0] = bytes >> 8;
  room[1] = bytes;
  long tcp = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  if (syscall(SYS_connect, tcp, &server, sizeof(server))) return 5;
  if (syscall(SYS_write, tcp, room, bytes + 2) != (long)bytes + 2) return 6;
  if (syscall(SYS_read, tcp, room, 2) != 2) return 7;
  if (syscall(SYS_read, tcp, room, sizeof(room)) < 12) return 8;
  return 0;
}
