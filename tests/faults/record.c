/* Records what a process and its children do to the files under VECSTORE_TRACE_ROOT, in the file VECSTORE_TRACE, so that
   what a power cut could have left of it can be made up afterwards (tests/crash/power_cut.py, which says what a record
   means). A record is appended before the call returns to its caller, so the order of records is one that happened.

   A record: the fields of struct record, then `first` bytes of a path, `second` bytes of another, `size` bytes of data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct record {
  uint32_t kind, first, second, unused;
  uint64_t inode, at, size;
};

enum { OPEN = 1, WRITE, TRUNCATE, SYNC, RENAME, LINK, UNLINK, RMDIR, MKDIR };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The trace, -1 without one. Its descriptor is not kept: the process may close all that it does not know. */
static int open_trace(void) {
  const char *path = getenv("VECSTORE_TRACE");
  return path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static uint64_t trace_size(void) {
  struct stat status;
  const char *path = getenv("VECSTORE_TRACE");
  return path != NULL && stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void append(struct record head, const char *first, const char *second, const void *data) {
  int trace = open_trace();
  if (trace < 0) return;
  head.first = first == NULL ? 0 : strlen(first);
  head.second = second == NULL ? 0 : strlen(second);
  struct iovec parts[4] = {{&head, sizeof head}, {(void *)first, head.first}, {(void *)second, head.second}, {0, 0}};
  if (data != NULL) parts[3] = (struct iovec){(void *)data, head.size};
  if (syscall(SYS_writev, trace, parts, 4) < 0) abort();
  syscall(SYS_close, trace);
}

static int below_root(const char *path) {
  const char *root = getenv("VECSTORE_TRACE_ROOT");
  return root != NULL && strncmp(path, root, strlen(root)) == 0;
}

static int path_of(int descriptor, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below_root(path);
}

/* `path` made absolute; whether it is below the root. */
static int full_path(int directory, const char *path, char *full) {
  char base[PATH_MAX];
  if (path[0] == '/') {
    snprintf(full, PATH_MAX, "%s", path);
  } else if (directory == AT_FDCWD) {
    if (getcwd(base, sizeof base) == NULL) return 0;
    snprintf(full, PATH_MAX, "%.2000s/%.2000s", base, path);
  } else {
    if (!path_of(directory, base)) return 0;
    snprintf(full, PATH_MAX, "%.2000s/%.2000s", base, path);
  }
  return below_root(full);
}

static int opened(int descriptor, int directory, const char *path, int flags) {
  char full[PATH_MAX];
  struct stat status;
  int error = errno;
  if (descriptor >= 0 && (flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) && full_path(directory, path, full) &&
      fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
    pthread_mutex_lock(&lock);
    append((struct record){.kind = OPEN, .inode = status.st_ino, .at = !!(flags & O_TRUNC)}, full, NULL, NULL);
    pthread_mutex_unlock(&lock);
  }
  errno = error;
  return descriptor;
}

static int open_at(int directory, const char *path, int flags, mode_t mode) {
  int descriptor = (int)syscall(SYS_openat, directory, path, flags, mode);
  return opened(descriptor, directory, path, flags);
}

#define MODE                                         \
  mode_t mode = 0;                                   \
  if (flags & (O_CREAT | O_TMPFILE)) {               \
    va_list more;                                    \
    va_start(more, flags);                           \
    mode = va_arg(more, mode_t);                     \
    va_end(more);                                    \
  }

int open(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...) { MODE return open_at(directory, path, flags, mode); }
int openat64(int directory, const char *path, int flags, ...) { MODE return open_at(directory, path, flags, mode); }

/* Every way to write comes to this. `offset` -1: where the descriptor stands. */
static ssize_t put(int descriptor, const void *data, size_t size, off_t offset) {
  char path[PATH_MAX];
  struct stat status;
  if (!path_of(descriptor, path)) {
    return offset < 0 ? syscall(SYS_write, descriptor, data, size)
                      : syscall(SYS_pwrite64, descriptor, data, size, offset);
  }
  pthread_mutex_lock(&lock);
  ssize_t done = offset < 0 ? syscall(SYS_write, descriptor, data, size)
                            : syscall(SYS_pwrite64, descriptor, data, size, offset);
  int error = errno;
  if (done > 0 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
    uint64_t at = offset < 0 ? (uint64_t)(lseek(descriptor, 0, SEEK_CUR) - done) : (uint64_t)offset;
    append((struct record){.kind = WRITE, .inode = status.st_ino, .at = at, .size = done}, NULL, NULL, data);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int descriptor, const void *data, size_t size) { return put(descriptor, data, size, -1); }
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
  return put(descriptor, data, size, offset);
}
ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t offset) {
  return put(descriptor, data, size, offset);
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  ssize_t total = 0;
  for (int i = 0; i < count; i++) {
    ssize_t done = parts[i].iov_len ? put(descriptor, parts[i].iov_base, parts[i].iov_len, -1) : 0;
    if (done < 0) return total ? total : done;
    total += done;
    if ((size_t)done < parts[i].iov_len) break;
  }
  return total;
}

static int sized(int result, int descriptor, uint64_t size) {
  char path[PATH_MAX];
  struct stat status;
  int error = errno;
  if (result == 0 && path_of(descriptor, path) && fstat(descriptor, &status) == 0) {
    pthread_mutex_lock(&lock);
    append((struct record){.kind = TRUNCATE, .inode = status.st_ino, .at = size}, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
  }
  errno = error;
  return result;
}

int ftruncate(int descriptor, off_t size) { return sized((int)syscall(SYS_ftruncate, descriptor, size), descriptor, size); }
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }

static int synced(long call, int descriptor) {
  char path[PATH_MAX];
  struct stat status;
  if (!path_of(descriptor, path) || fstat(descriptor, &status) != 0) return (int)syscall(call, descriptor);
  pthread_mutex_lock(&lock);
  uint64_t before = trace_size(); /* what is recorded from here on it may have missed */
  pthread_mutex_unlock(&lock);
  int result = (int)syscall(call, descriptor);
  int error = errno;
  if (result == 0) {
    pthread_mutex_lock(&lock);
    append((struct record){.kind = SYNC, .inode = status.st_ino, .at = before}, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
  }
  errno = error;
  return result;
}

int fsync(int descriptor) { return synced(SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return synced(SYS_fdatasync, descriptor); }

/* A change of names: `call` was made with the lock held. */
static int named(int result, int kind, const char *first, const char *second) {
  int error = errno;
  struct stat status = {0};
  if (result == 0) {
    if (kind == MKDIR) (void)!stat(first, &status);
    append((struct record){.kind = kind, .inode = status.st_ino}, first, second, NULL);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

static int moved(int kind, int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
  char first[PATH_MAX], second[PATH_MAX];
  long call = kind == RENAME ? SYS_renameat2 : SYS_linkat;
  int recorded = full_path(from_directory, from, first) | full_path(to_directory, to, second);
  if (!recorded) return (int)syscall(call, from_directory, from, to_directory, to, flags);
  pthread_mutex_lock(&lock);
  return named((int)syscall(call, from_directory, from, to_directory, to, flags), kind, first, second);
}

int rename(const char *from, const char *to) { return moved(RENAME, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  return moved(RENAME, from_directory, from, to_directory, to, 0);
}
int link(const char *from, const char *to) { return moved(LINK, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
  return moved(LINK, from_directory, from, to_directory, to, flags);
}

static int removed(int directory, const char *path, int flags) {
  char full[PATH_MAX];
  if (!full_path(directory, path, full)) return (int)syscall(SYS_unlinkat, directory, path, flags);
  pthread_mutex_lock(&lock);
  return named((int)syscall(SYS_unlinkat, directory, path, flags), flags & AT_REMOVEDIR ? RMDIR : UNLINK, full, NULL);
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int directory, const char *path, int flags) { return removed(directory, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  struct stat status;
  return removed(AT_FDCWD, path, lstat(path, &status) == 0 && S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
}

static int made(int directory, const char *path, mode_t mode) {
  char full[PATH_MAX];
  if (!full_path(directory, path, full)) return (int)syscall(SYS_mkdirat, directory, path, mode);
  pthread_mutex_lock(&lock);
  return named((int)syscall(SYS_mkdirat, directory, path, mode), MKDIR, full, NULL);
}

int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int directory, const char *path, mode_t mode) { return made(directory, path, mode); }
