// What few programs have a reason to do: each argument is one such thing, done after a word and before "done".
#define _GNU_SOURCE
#include "counted.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(long result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

static void copy(const char *from, int to) {
  char bytes[65536];
  int source = open(from, O_RDONLY | O_CLOEXEC);
  must(source, from);
  for (ssize_t some; (some = read(source, bytes, sizeof(bytes))) > 0;) must(write(to, bytes, some), "write");
  close(source);
}

static void wait_for(pid_t child) {
  int status;
  must(waitpid(child, &status, 0), "wait");
}

static void in_child(void (*act)(void)) {
  pid_t child = fork();
  if (!child) {
    act();
    _exit(0);
  }
  wait_for(child);
}

static void execute_memory(void) {
  int file = memfd_create("payload", 0);
  copy("/bin/true", file);
  fexecve(file, (char *[]){"payload", NULL}, environ);
}

static void execute_clone_of_runc(void) {
  int file = memfd_create("runc_cloned:/proc/self/exe", 0);
  copy("/bin/true", file);
  fexecve(file, (char *[]){"runc", "init", NULL}, environ);
}

static void execute_deleted(void) {
  char path[] = "/tmp/provocation-XXXXXX";
  int file = mkstemp(path);
  copy("/bin/true", file);
  fchmod(file, 0755);
  close(file);
  file = open(path, O_RDONLY);
  unlink(path);
  fexecve(file, (char *[]){"deleted", NULL}, environ);
}

static int listening(struct sockaddr_in *address, int port) {
  socklen_t size = sizeof(*address);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  must(bind(server, (struct sockaddr *)address, size), "bind");
  must(listen(server, 1), "listen");
  must(getsockname(server, (struct sockaddr *)address, &size), "getsockname");
  return server;
}

static void execute_shell_on_socket(void) {
  struct sockaddr_in address;
  listening(&address, 0);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  must(connect(client, (struct sockaddr *)&address, sizeof(address)), "connect");
  dup2(client, 0);
  execl("/bin/sh", "sh", "-c", "exit 0", NULL);
}

static void execute_shell(void) { execl("/bin/sh", "sh", "-c", "exit 0", NULL); }

static void execute_shell_on_terminal(void) {
  int master = posix_openpt(O_RDWR);
  grantpt(master);
  unlockpt(master);
  setsid();
  int terminal = open(ptsname(master), O_RDWR);
  must(terminal, "terminal");
  dup2(terminal, 0);
  execute_shell();
}

static void execute_as_other(const char *file) {
  if (setresuid(65534, 65534, 65534)) _exit(1);
  execl(file, "granted", NULL);
}

static const char *granted;
static void execute_granted(void) { execute_as_other(granted); }
static void execute_plain(void) { execute_as_other("/bin/true"); }

static void serve_and_run_shells(void) {
  struct sockaddr_in address;
  int server = listening(&address, 0);
  in_child(execute_shell);
  close(server);
}

static void trace_child(void) {
  pid_t child = fork();
  if (!child) {
    pause();
    _exit(0);
  }
  long word = 7;
  struct iovec here = {&word, sizeof(word)}, there = {&word, sizeof(word)};
  process_vm_writev(child, &here, 1, &there, 1, 0);
  process_vm_writev(getpid(), &here, 1, &there, 1, 0);
  must(ptrace(PTRACE_ATTACH, child, 0, 0), "attach");
  wait_for(child);
  ptrace(PTRACE_DETACH, child, 0, 0);
  kill(child, SIGKILL);
  wait_for(child);
}

static void ask_to_be_traced(void) { ptrace(PTRACE_TRACEME, 0, 0, 0); }

static void spaces(void) {
  must(unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make private");
  must(mount("none", "/mnt", "tmpfs", 0, NULL), "mount");
  must(umount2("/mnt", MNT_DETACH), "umount");
}

static void surface(void) {
  union bpf_attr attribute = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  close(syscall(SYS_bpf, BPF_MAP_CREATE, &attribute, sizeof(attribute)));
  close(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  close(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  close(socket(AF_INET, SOCK_DGRAM, 0));
  syscall(SYS_init_module, NULL, 0, "");
}

static void reads(const char *folder) {
  struct open_how how = {.flags = O_RDONLY};
  char path[4096];
  close(open("/etc/shadow", O_RDONLY));
  snprintf(path, sizeof(path), "%s/.ssh", folder);
  must(chdir(path), path);
  close(syscall(SYS_openat2, AT_FDCWD, "id_ed25519", &how, sizeof(how)));
  close(open("../innocent", O_RDONLY));
  close(open("../link", O_RDONLY)); /* a symbolic link to the key */
  close(open("/etc/gshadow-that-is-not-there", O_RDONLY));
  close(open("/proc/self/environ", O_RDONLY));
  pid_t child = fork();
  if (!child) {
    pause();
    _exit(0);
  }
  snprintf(path, sizeof(path), "/proc/%d/environ", child);
  close(open(path, O_RDONLY));
  kill(child, SIGKILL);
  wait_for(child);
  must(link("id_ed25519", "../other-name"), "link");
  int in_spool = open(".", O_PATH | O_DIRECTORY);
  must(chdir("/"), "/");
  close(openat(in_spool, "./known_hosts", O_RDONLY));
}

static void writes(const char *folder) {
  char to[4096];
  must(chdir(folder), folder);
  snprintf(to, sizeof(to), "%s/.ssh/authorized_keys", folder);
  close(open(to, O_WRONLY | O_CREAT, 0600));
  close(open("innocent", O_WRONLY));
  must(rename("innocent", ".bashrc"), "rename");
  close(open("/etc/ld.so.preload/nothing", O_WRONLY | O_CREAT, 0600));
}

static void peers(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
  struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/nowhere/docker.sock"};
  inet_pton(AF_INET, "169.254.169.254", &address.sin_addr);
  /* The connect of such a socket sends nothing. */
  int client = socket(AF_INET, SOCK_DGRAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  connect(client, (struct sockaddr *)&address, sizeof(address));
  inet_pton(AF_INET, "127.0.0.9", &address.sin_addr);
  sendto(datagrams, "x", 1, 0, (struct sockaddr *)&address, sizeof(address));
  inet_pton(AF_INET, "127.0.0.8", &address.sin_addr);
  struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof(address)};
  sendmsg(datagrams, &message, 0);
  int locals = socket(AF_UNIX, SOCK_STREAM, 0);
  connect(locals, (struct sockaddr *)&local, sizeof(local));
}

static void many(const char *folder, int first, int count) {
  char path[64];
  must(chdir(folder), folder);
  for (int i = first; i < first + count; i++) {
    snprintf(path, sizeof(path), "file-%d", i);
    close(open(path, O_RDONLY));
  }
}

int main(int argc, char **argv) {
  char word;
  must(read(0, &word, 1), "read a word");
  for (int i = 1; i < argc; i++) {
    const char *what = argv[i];
    if (!strcmp(what, "memory")) in_child(execute_memory);
    if (!strcmp(what, "runc")) in_child(execute_clone_of_runc);
    if (!strcmp(what, "deleted")) in_child(execute_deleted);
    if (!strcmp(what, "socket")) in_child(execute_shell_on_socket);
    if (!strcmp(what, "shell")) in_child(execute_shell);
    if (!strcmp(what, "terminal")) in_child(execute_shell_on_terminal);
    if (!strcmp(what, "server")) in_child(serve_and_run_shells);
    if (!strcmp(what, "plain")) in_child(execute_plain);
    if (!strcmp(what, "granted")) granted = argv[++i], in_child(execute_granted);
    if (!strcmp(what, "trace")) trace_child();
    if (!strcmp(what, "traceme")) in_child(ask_to_be_traced);
    if (!strcmp(what, "spaces")) in_child(spaces);
    if (!strcmp(what, "surface")) surface();
    if (!strcmp(what, "reads")) reads(argv[++i]);
    if (!strcmp(what, "writes")) writes(argv[++i]);
    if (!strcmp(what, "peers")) peers();
    if (!strcmp(what, "many")) many(argv[i + 1], atoi(argv[i + 2]), atoi(argv[i + 3])), i += 3;
    if (!strcmp(what, "pause")) {
      must(write(1, "pause\n", 6), "write");
      must(read(0, &word, 1), "read a word");
    }
  }
  must(write(1, "done\n", 5), "write");
  must(read(0, &word, 1), "read a word");
  return 0;
}
