// SPDX-License-Identifier: Apache-2.0

// System calls that fail, for LD_PRELOAD. FAULT_FOLDER: of files below this folder.
// FAULTS, or what set_faults was last called with: any number of "CALL WHAT FIRST
// COUNT;", where WHAT is the number of an errno, "short" (at most 7 bytes are read or
// written) or "slow" (50 ms): of the matching calls CALL, those numbered FIRST up to
// FIRST + COUNT, from 0. Behind fail_new(N), C++'s operator new fails once, N calls on.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 8 };

static struct {
  char call[16];
  char what[16];
  long first;
  long count;
  atomic_long seen;
} faults[kMost];
static const char* folder;

void set_faults(const char* text) {
  memset(faults, 0, sizeof faults);
  int used = 0;
  for (int at = 0; text && used < kMost; ++used, text += at) {
    if (sscanf(text, "%15s %15s %ld %ld;%n", faults[used].call, faults[used].what,
               &faults[used].first, &faults[used].count, &at) != 4) {
      break;
    }
  }
}

__attribute__((constructor)) static void Start(void) {
  folder = getenv("FAULT_FOLDER");
  set_faults(getenv("FAULTS"));
}

// The errno to fail with, 0 for none; `size` may become smaller.
static int Fault(const char* call, const char* path, size_t* size) {
  if (!folder || strncmp(path, folder, strlen(folder)) != 0) return 0;
  for (int i = 0; i < kMost; ++i) {
    if (strcmp(faults[i].call, call) != 0) continue;
    const long number = atomic_fetch_add(&faults[i].seen, 1);
    if (number < faults[i].first || number >= faults[i].first + faults[i].count) continue;
    if (strcmp(faults[i].what, "short") == 0) {
      if (size && *size > 7) *size = 7;
    } else if (strcmp(faults[i].what, "slow") == 0) {
      const struct timespec time = {0, 50 * 1000 * 1000};
      nanosleep(&time, NULL);
    } else {
      return atoi(faults[i].what);
    }
  }
  return 0;
}

static int FaultOf(const char* call, int fd, size_t* size) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return Fault(call, path, size);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(code, result)  \
  do {                      \
    const int found = code; \
    if (found != 0) {       \
      errno = found;        \
      return result;        \
    }                       \
  } while (0)

ssize_t pread(int fd, void* out, size_t size, off_t at) {
  FAIL(FaultOf("pread", fd, &size), -1);
  return REAL(pread)(fd, out, size, at);
}

ssize_t pread64(int fd, void* out, size_t size, off64_t at) {
  FAIL(FaultOf("pread", fd, &size), -1);
  return REAL(pread64)(fd, out, size, at);
}

ssize_t write(int fd, const void* from, size_t size) {
  FAIL(FaultOf("write", fd, &size), -1);
  return REAL(write)(fd, from, size);
}

static mode_t ModeOf(int flags, va_list rest) {
  return flags & O_CREAT ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                             \
  int name(const char* path, int flags, ...) { \
    va_list rest;                              \
    va_start(rest, flags);                     \
    const mode_t mode = ModeOf(flags, rest);   \
    va_end(rest);                              \
    FAIL(Fault("open", path, NULL), -1);       \
    return REAL(name)(path, flags, mode);      \
  }
OPEN(open)
OPEN(open64)

#define MAKE(name)                           \
  int name(char* path, int flags) {          \
    FAIL(Fault("mkostemp", path, NULL), -1); \
    return REAL(name)(path, flags);          \
  }
MAKE(mkostemp)
MAKE(mkostemp64)

int rename(const char* from, const char* to) {
  FAIL(Fault("rename", from, NULL), -1);
  return REAL(rename)(from, to);
}

static atomic_long news = -1;

void fail_new(long after) { atomic_store(&news, after); }

void _ZSt17__throw_bad_allocv(void);  // std::__throw_bad_alloc()

void* _Znwm(size_t size) {  // operator new(std::size_t)
  if (atomic_load(&news) >= 0 && atomic_fetch_sub(&news, 1) == 0) {
    _ZSt17__throw_bad_allocv();
  }
  void* const memory = malloc(size ? size : 1);
  if (!memory) _ZSt17__throw_bad_allocv();
  return memory;
}
