/* Turns GCC's cc1plus into a compile server: preloaded into it, forks a copy for every request.
 *
 * Starting cc1plus and loading the precompiled shim takes longer than compiling a kernel. This library lets cc1plus
 * do both once: when it opens the magic file `kernel.cu`, which its main file includes after the shim, it waits
 * here instead. A request is a line `SOURCE OBJECT LOG`; a fork of the whole compiler then finds SOURCE in place of
 * kernel.cu, writes assembly to a file beside OBJECT and its diagnostics to LOG, and an assembler follows. The
 * answer is a line `WAIT_STATUS`. Requests come on standard input, which cc1plus does not read, and answers go to
 * standard output, where cc1plus writes assembly only at its end, in a fork. Server and forks run confined.
 *
 * Environment: SIMT_ASSEMBLER (path), SIMT_COMPILE_CPU (seconds for one compilation).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PATH = 512 };

typedef int (*open_function)(const char*, int, ...);

static char source[MAX_PATH], object[MAX_PATH], assembly[MAX_PATH + 2], diagnostics[MAX_PATH];
static int serving; /* 0 before the first request, 1 in the server, 2 in a fork */

static int open_real(const char* path, int flags, int mode) {
    static open_function real;
    if (!real) real = (open_function)dlsym(RTLD_NEXT, "open");
    return real(path, flags, mode);
}

static void redirect(const char* path, int descriptor) {
    const int file = open_real(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, descriptor) < 0) _exit(1);
    close(file);
}

static void limit_cpu(void) {
    const char* seconds = getenv("SIMT_COMPILE_CPU");
    struct rlimit limit = {seconds ? (rlim_t)atol(seconds) : 10, seconds ? (rlim_t)atol(seconds) : 10};
    setrlimit(RLIMIT_CPU, &limit);
}

static int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {}
    return status;
}

static int assemble(void) {
    const char* assembler = getenv("SIMT_ASSEMBLER");
    const pid_t child = vfork();
    if (child == 0) {
        execlp(assembler, assembler, "--64", "-o", object, assembly, (char*)NULL);
        _exit(127);
    }
    return wait_for(child);
}

/* Returns only in a fork, which goes on to compile `source`. */
static void serve(void) {
    char line[3 * MAX_PATH];
    serving = 1;
    unsetenv("LD_PRELOAD"); /* not for the assembler */
    dprintf(STDOUT_FILENO, "ready\n");
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%511s %511s %511s", source, object, diagnostics) != 3) _exit(1);
        snprintf(assembly, sizeof assembly, "%s.s", object);
        const pid_t child = fork();
        if (child == 0) {
            serving = 2;
            limit_cpu();
            redirect(assembly, STDOUT_FILENO);
            redirect(diagnostics, STDERR_FILENO);
            return;
        }
        int status = child < 0 ? 1 << 8 : wait_for(child);
        if (status == 0) status = assemble();
        dprintf(STDOUT_FILENO, "%d\n", status);
    }
    _exit(0);
}

static int open_or_serve(const char* path, int flags, int mode) {
    const size_t length = strlen(path);
    if (serving || length < 9 || strcmp(path + length - 9, "kernel.cu")) return open_real(path, flags, mode);
    serve();
    return open_real(source, flags, mode);
}

#define FORWARD                                             \
    va_list rest;                                           \
    va_start(rest, flags);                                  \
    const int mode = flags & O_CREAT ? va_arg(rest, int) : 0; \
    va_end(rest);                                           \
    return open_or_serve(path, flags, mode);
int open(const char* path, int flags, ...) { FORWARD }
int open64(const char* path, int flags, ...) { FORWARD }
