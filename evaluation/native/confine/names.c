/* Preloaded into confined processes that use a GPU. NVIDIA's driver names its threads by writing
 * /proc/self/task/ID/comm, and cuInit fails where that is refused. Landlock grants folders that exist when it is set
 * up, but the processes that use the driver are forked later, so such a name is written to /dev/null instead.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

typedef FILE* (*opener)(const char*, const char*);

static FILE* opened(const char* name, const char* path, const char* mode) {
    int thread, end = 0;
    const int found = path && mode && mode[0] == 'w' && sscanf(path, "/proc/self/task/%d/comm%n", &thread, &end) == 1;
    return ((opener)dlsym(RTLD_NEXT, name))(found && end && !path[end] ? "/dev/null" : path, mode);
}

FILE* fopen(const char* path, const char* mode) { return opened("fopen", path, mode); }

FILE* fopen64(const char* path, const char* mode) { return opened("fopen64", path, mode); }
