/* Makes system calls of one process fail on demand. The file named by VECSTORE_FAULTS, when it exists, holds one line:

       CALL ERRNO COUNT PART

   CALL is write, fsync or rename; the next COUNT calls (-1: all) on a file whose path contains PART fail with ERRNO.
   fsync stands for fdatasync too. A failing write of more than one byte first writes half of it, as a full disk does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int fault_for(const char *call, const char *path) {
  const char *plan_path = getenv("VECSTORE_FAULTS");
  if (plan_path == NULL) return 0;
  pthread_mutex_lock(&lock);
  int result = 0;
  FILE *plan = fopen(plan_path, "r");
  if (plan != NULL) {
    char wanted[16], part[256];
    int number, count;
    int fields = fscanf(plan, "%15s %d %d %255s", wanted, &number, &count, part);
    fclose(plan);
    if (fields == 4 && count != 0 && strcmp(wanted, call) == 0 && strstr(path, part) != NULL) {
      result = number;
      if (count > 0 && (plan = fopen(plan_path, "w")) != NULL) {
        fprintf(plan, "%s %d %d %s\n", wanted, number, count - 1, part);
        fclose(plan);
      }
    }
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int fault_for_descriptor(const char *call, int descriptor) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fault_for(call, path);
}

static int sync_call(const char *name, int descriptor) {
  int number = fault_for_descriptor("fsync", descriptor);
  if (number != 0) {
    errno = number;
    return -1;
  }
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return next(descriptor);
}

int fsync(int descriptor) { return sync_call("fsync", descriptor); }
int fdatasync(int descriptor) { return sync_call("fdatasync", descriptor); }

ssize_t write(int descriptor, const void *data, size_t size) {
  ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  int number = fault_for_descriptor("write", descriptor);
  if (number == 0) return next(descriptor, data, size);
  if (size > 1) (void)!next(descriptor, data, size / 2);
  errno = number;
  return -1;
}

int rename(const char *from, const char *to) {
  int number = fault_for("rename", to);
  if (number != 0) {
    errno = number;
    return -1;
  }
  int (*next)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  return next(from, to);
}
