/*
 * calls: makes known numbers of known system calls, for tests that compare exact counts.
 *
 *   calls [--wait] [--sleep-first SECONDS] [--rate CALLS_PER_SECOND] [--threads N] [--then-pause] NAME=COUNT...
 *
 *   getppid=N        getppid, never fails
 *   openat-enoent=N  openat of a path that is not there: fails with ENOENT
 *   openat-ok=N      openat of /dev/null and close of it: two calls a round
 *   read1=N          read of 1 byte from /dev/zero
 *   read-ebadf=N     read from descriptor -1: fails with EBADF
 *   write0=N         write of no bytes to /dev/null
 *   nanosleep-ms=DxN nanosleep of D milliseconds, N times
 *   mkdir-eexist=N   mkdirat of /: fails with EEXIST
 *   pipe-eagain=N    read from an empty pipe that does not block: fails with EAGAIN
 *   futex-eagain=N   futex wait on a value that has changed: fails with EAGAIN
 *
 * The counted calls are getppid, openat, close, read, write, nanosleep, mkdirat and futex. Each is made by syscall(2),
 * never through a libc function that may choose another call (nanosleep: clock_nanosleep). A statically linked glibc
 * adds none of them: its start-up makes brk, arch_prctl, set_tid_address, set_robust_list, rseq, prlimit64, readlink,
 * getrandom and mprotect. What this program needs for itself goes by others: openat2 for its devices, pipe2, writev for
 * the report, clock_nanosleep for --sleep-first and --rate, rt_sigtimedwait for --wait, pause or exit_group at the end.
 * With --threads glibc adds futex, mmap, clone3 and more: count no futex then.
 * In a container runc makes calls of many kinds before it becomes this program, and `kubectl exec` makes some there too:
 * for exact counts use --sleep-first, or --wait and a signal from the node, by
 * `ctr -n k8s.io tasks kill --signal SIGUSR1 CONTAINER_ID`.
 *
 * --wait: starts at SIGUSR1 (kill -USR1 PID), which may also come before it is waited for.
 * --threads N: each of N threads makes all the calls given; the report holds the sums.
 * Standard output, once done, one line: {"pid":1,"calls":{"getppid":1000,...},"errors":{"openat":{"ENOENT":300}}}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MAX_JOBS = 32, MAX_THREADS = 64 };

static int zero_fd, null_fd, pipe_fd;
static long pause_ns; /* between two rounds, from --rate */

static long round_getppid(long unused) { (void)unused; return syscall(SYS_getppid); }
static long round_openat_enoent(long unused)
{
	(void)unused;
	return syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY, 0);
}
static long round_openat_ok(long unused)
{
	(void)unused;
	return syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0));
}
static long round_read1(long unused)
{
	char byte;
	(void)unused;
	return syscall(SYS_read, zero_fd, &byte, 1);
}
static long round_read_ebadf(long unused)
{
	char byte;
	(void)unused;
	return syscall(SYS_read, -1, &byte, 1);
}
static long round_write0(long unused) { (void)unused; return syscall(SYS_write, null_fd, "", 0); }
static long round_nanosleep(long milliseconds)
{
	struct timespec wanted = {milliseconds / 1000, milliseconds % 1000 * 1000000};
	return syscall(SYS_nanosleep, &wanted, NULL);
}
static long round_mkdir_eexist(long unused) { (void)unused; return syscall(SYS_mkdirat, AT_FDCWD, "/", 0700); }
static long round_pipe_eagain(long unused)
{
	char byte;
	(void)unused;
	return syscall(SYS_read, pipe_fd, &byte, 1);
}
static long round_futex_eagain(long unused)
{
	static unsigned int word = 1;
	(void)unused;
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* error: the errno that each round must end with, 0 for success. second: a further call that each round makes. */
static const struct kind {
	const char *name, *call, *second;
	long (*round)(long argument);
	int error;
	const char *error_name;
} kinds[] = {
	{"getppid", "getppid", NULL, round_getppid, 0, NULL},
	{"openat-enoent", "openat", NULL, round_openat_enoent, ENOENT, "ENOENT"},
	{"openat-ok", "openat", "close", round_openat_ok, 0, NULL},
	{"read1", "read", NULL, round_read1, 0, NULL},
	{"read-ebadf", "read", NULL, round_read_ebadf, EBADF, "EBADF"},
	{"write0", "write", NULL, round_write0, 0, NULL},
	{"nanosleep-ms", "nanosleep", NULL, round_nanosleep, 0, NULL},
	{"mkdir-eexist", "mkdirat", NULL, round_mkdir_eexist, EEXIST, "EEXIST"},
	{"pipe-eagain", "read", NULL, round_pipe_eagain, EAGAIN, "EAGAIN"},
	{"futex-eagain", "futex", NULL, round_futex_eagain, EAGAIN, "EAGAIN"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct job {
	const struct kind *kind;
	long argument, count;
} jobs[MAX_JOBS];
static int job_count;

static void fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("calls: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	_exit(2);
}

static void sleep_ns(long long nanoseconds)
{
	struct timespec wanted = {nanoseconds / 1000000000, nanoseconds % 1000000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, &wanted) == EINTR) {
	}
}

/* A call that ends otherwise than it must would make the printed numbers a lie. */
static void run_job(const struct job *job)
{
	for (long i = 0; i < job->count; i++) {
		long result = job->kind->round(job->argument);
		int error = result < 0 ? errno : 0;
		if (error != job->kind->error)
			fail("%s ended with errno %d, not %d", job->kind->name, error, job->kind->error);
		if (pause_ns)
			sleep_ns(pause_ns);
	}
}

static void *run_jobs(void *unused)
{
	(void)unused;
	for (int i = 0; i < job_count; i++)
		run_job(&jobs[i]);
	return NULL;
}

static void run_threads(int threads)
{
	pthread_t ids[MAX_THREADS];
	for (int i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, run_jobs, NULL))
			fail("cannot start thread %d", i);
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
}

static long number(const char *text, const char *of)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (end == text || *end || value < 0)
		fail("%s: not a number: %s", of, text);
	return value;
}

static void add_job(char *text)
{
	char *count = strchr(text, '='), *times;
	if (!count || job_count == MAX_JOBS)
		fail("not NAME=COUNT, or too many of them: %s", text);
	*count++ = 0;
	for (int i = 0; i < KINDS; i++) {
		if (strcmp(kinds[i].name, text))
			continue;
		struct job *job = &jobs[job_count++];
		job->kind = &kinds[i];
		times = strchr(count, 'x');
		if ((kinds[i].round == round_nanosleep) != (times != NULL))
			fail("%s takes %s", text, times ? "a number" : "MILLISECONDSxNUMBER");
		if (times) {
			*times++ = 0;
			job->argument = number(count, text);
		}
		job->count = number(times ? times : count, text);
		return;
	}
	fail("no kind of call is called %s", text);
}

/* The kinds repeat a call's name: sums are made where a name comes first. */
static long total(const char *call, const char *error_name)
{
	long sum = 0;
	for (int i = 0; i < job_count; i++) {
		const struct kind *kind = jobs[i].kind;
		bool same = !strcmp(kind->call, call) || (kind->second && !strcmp(kind->second, call));
		if (same && (!error_name || (kind->error_name && !strcmp(kind->error_name, error_name))))
			sum += jobs[i].count;
	}
	return sum;
}

static char report[4096];
static int report_length;

static void print(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	report_length += vsnprintf(report + report_length, sizeof(report) - report_length, format, arguments);
	va_end(arguments);
}

static void print_sums(const char *const *names, int name_count, int threads, bool errors)
{
	static const char *const error_names[] = {"EAGAIN", "EBADF", "EEXIST", "ENOENT"};
	const char *between = "";
	for (int i = 0; i < name_count; i++) {
		if (!errors && total(names[i], NULL)) {
			print("%s\"%s\":%ld", between, names[i], total(names[i], NULL) * threads);
			between = ",";
		}
		const char *opening = "{";
		for (int e = 0; errors && e < 4; e++) {
			long sum = total(names[i], error_names[e]);
			if (!sum)
				continue;
			if (*opening == '{')
				print("%s\"%s\":", between, names[i]);
			print("%s\"%s\":%ld", opening, error_names[e], sum * threads);
			opening = between = ",";
		}
		if (*opening == ',')
			print("}");
	}
}

static void print_report(int threads)
{
	static const char *const names[] = {"getppid", "openat", "close", "read", "write", "nanosleep", "mkdirat", "futex"};
	print("{\"pid\":%d,\"calls\":{", getpid());
	print_sums(names, 8, threads, false);
	print("},\"errors\":{");
	print_sums(names, 8, threads, true);
	print("}}\n");
	struct iovec line = {report, report_length};
	if (writev(STDOUT_FILENO, &line, 1) != report_length)
		_exit(2);
}

/* By calls that are none of the counted ones. */
static void open_devices(void)
{
	struct open_how reading = {.flags = O_RDONLY}, writing = {.flags = O_WRONLY};
	int ends[2];
	zero_fd = syscall(SYS_openat2, AT_FDCWD, "/dev/zero", &reading, sizeof(reading));
	null_fd = syscall(SYS_openat2, AT_FDCWD, "/dev/null", &writing, sizeof(writing));
	if (zero_fd < 0 || null_fd < 0 || pipe2(ends, O_NONBLOCK))
		fail("cannot open /dev/zero, /dev/null and a pipe");
	pipe_fd = ends[0];
}

int main(int argc, char **argv)
{
	sigset_t start;
	bool wait = false, then_pause = false;
	long sleep_first = 0, rate = 0, threads = 0;

	/* First of all: the signal may come at once. */
	sigemptyset(&start);
	sigaddset(&start, SIGUSR1);
	sigprocmask(SIG_BLOCK, &start, NULL);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--wait"))
			wait = true;
		else if (!strcmp(argv[i], "--then-pause"))
			then_pause = true;
		else if (!strcmp(argv[i], "--sleep-first") && i + 1 < argc)
			sleep_first = number(argv[++i], "--sleep-first");
		else if (!strcmp(argv[i], "--rate") && i + 1 < argc)
			rate = number(argv[++i], "--rate");
		else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
			threads = number(argv[++i], "--threads");
		else
			add_job(argv[i]);
	}
	if (threads > MAX_THREADS)
		fail("--threads: at most %d", MAX_THREADS);
	pause_ns = rate ? 1000000000 / rate : 0;
	open_devices();
	sleep_ns(sleep_first * 1000000000LL);
	if (wait)
		sigwaitinfo(&start, NULL);
	if (threads)
		run_threads(threads);
	else
		run_jobs(NULL);
	print_report(threads ? threads : 1);
	while (then_pause)
		pause();
	return 0;
}
