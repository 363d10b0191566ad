/* A failing file layer: LD_PRELOADed, it counts calls on files below one folder, and lets the chosen one fail.
 *
 * fault_arm(folder, kind, number, action, repeat): the calls `number` to `number + repeat - 1` of `kind` (open, write,
 * sync, rename, unlink, truncate) get errno `action`, or, where it is negative, end the process by SIGKILL before they
 * take place. fault_clock(step): from now on the system clock goes back by `step` seconds at each look at it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, WRITE, SYNC, RENAME, UNLINK, TRUNCATE, KINDS };
static const char *names[KINDS] = {"open", "write", "sync", "rename", "unlink", "truncate"};
static char folder[PATH_MAX];
static int counts[KINDS];
static int armed = -1, from, until, action;
static pid_t owner;
static long step, looks;

static int kind_of(const char *name) {
    for (int kind = 0; kind < KINDS; kind++)
        if (!strcmp(name, names[kind])) return kind;
    return -1;
}

void fault_arm(const char *place, const char *kind, int number, int what, int repeat) {
    strncpy(folder, place, PATH_MAX - 1);
    memset(counts, 0, sizeof counts);
    armed = kind_of(kind), from = number, until = number + repeat, action = what;
    owner = getpid(); /* its workers are left alone */
}

int fault_count(const char *kind) { return counts[kind_of(kind)]; }

void fault_clock(long seconds) { step = seconds; }

/* Whether this call is the one to fail; errno is set then. */
static int fails(int kind, int inside) {
    if (!folder[0] || !inside || getpid() != owner) return 0;
    int number = __atomic_fetch_add(&counts[kind], 1, __ATOMIC_SEQ_CST);
    if (kind != armed || number < from || number >= until) return 0;
    if (action < 0) kill(getpid(), SIGKILL);
    errno = action;
    return 1;
}

static int below(const char *path) { return folder[0] && !strncmp(path, folder, strlen(folder)); }

static int file_below(int file) {
    if (!folder[0]) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(name); \
        return WRITES(flags) && fails(OPEN, below(path)) ? -1 : real(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)
#define OPENATS(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(name); \
        return WRITES(flags) && fails(OPEN, below(path)) ? -1 : real(at, path, flags, mode); \
    }
OPENATS(openat)
OPENATS(openat64)
#define FOPENS(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(name); \
        return mode[0] != 'r' && fails(OPEN, below(path)) ? NULL : real(path, mode); \
    }
FOPENS(fopen)
FOPENS(fopen64)
ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write);
    return fails(WRITE, file_below(file)) ? -1 : real(file, bytes, count);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    return fails(WRITE, file_below(file)) ? -1 : real(file, parts, count);
}
#define PWRITES(name, offset_type) \
    ssize_t name(int file, const void *bytes, size_t count, offset_type place) { \
        REAL(name); \
        return fails(WRITE, file_below(file)) ? -1 : real(file, bytes, count, place); \
    }
PWRITES(pwrite, off_t)
PWRITES(pwrite64, off64_t)
int fsync(int file) {
    REAL(fsync);
    return fails(SYNC, file_below(file)) ? -1 : real(file);
}
int rename(const char *old, const char *new) {
    REAL(rename);
    return fails(RENAME, below(new)) ? -1 : real(old, new);
}
int unlink(const char *path) {
    REAL(unlink);
    return fails(UNLINK, below(path)) ? -1 : real(path);
}
int ftruncate(int file, off_t size) {
    REAL(ftruncate);
    return fails(TRUNCATE, file_below(file)) ? -1 : real(file, size);
}
int ftruncate64(int file, off64_t size) {
    REAL(ftruncate64);
    return fails(TRUNCATE, file_below(file)) ? -1 : real(file, size);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int status = real(clock, now);
    if (step && clock == CLOCK_REALTIME) now->tv_sec -= step * ++looks;
    return status;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
