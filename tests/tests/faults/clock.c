/* Lets the wall clock of one program jump, and its disk be read-only: the file of OUTBAND_TEST_CLOCK holds by how many seconds, and whether. Clocks
   that only go on, go on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long none[2], *step = none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("OUTBAND_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(0, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) step = at;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *step;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec t;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t)) return -1;
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec t;
    if (clock_gettime(CLOCK_REALTIME, &t)) return -1;
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}

/* The only writes at an offset are those to files of databases. */
ssize_t pwrite(int file, const void *from, size_t bytes, off_t at) {
    if (step[1]) return errno = EROFS, -1;
    return syscall(SYS_pwrite64, file, from, bytes, at);
}

ssize_t pwrite64(int file, const void *from, size_t bytes, off64_t at) {
    if (step[1]) return errno = EROFS, -1;
    return syscall(SYS_pwrite64, file, from, bytes, at);
}
