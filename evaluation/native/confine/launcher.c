/* confine MODE WRITABLE CPU_SECONDS MEMORY_MB FILE_MB READABLE... -- COMMAND...
 *
 * Runs a command that may do harm, with resource limits, Landlock (it reads and executes only below the READABLE
 * paths and writes only below WRITABLE), a seccomp filter that lists what is allowed (no sockets of its own, no signals
 * to others, nothing that concerns the machine) and no capabilities. Needs no privilege and no namespace, so it works
 * inside containers. On a kernel without Landlock it goes on with the rest: `evaluation.confine` says so.
 *
 * MODE `nobody`, started by root: the command runs as the user nobody, if that user can reach all paths. `same` keeps
 * the user. `gpu` keeps it, too, and lets the command use a GPU's driver: device files among READABLE may be written and
 * controlled, addresses and CPU time are not limited, and more system calls are allowed (`gpu_allowed`).
 *
 * Exit status 97: wrong usage; 98: the confinement could not be set up; 99: the command could not be started.
 */
#define _GNU_SOURCE
#include <asm/ioctls.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filter.h"

/* Landlock's interface, written out because older kernel headers lack it. */
enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD_RULE = 445, LANDLOCK_RESTRICT = 446 };
enum { RULE_PATH_BENEATH = 1 };
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_IOCTL_DEV (1ull << 15)
struct ruleset {
    uint64_t filesystem, network, scoped;
};
struct __attribute__((packed)) path_rule {
    uint64_t access;
    int32_t directory;
};

static _Noreturn void fail(const char* what) {
    fprintf(stderr, "confine: %s: %s\n", what, strerror(errno));
    exit(98);
}

static void limit(int resource, rlim_t value) {
    struct rlimit both = {value, value};
    if (setrlimit(resource, &both)) fail("setrlimit");
}

static void allow_path(int ruleset, const char* path, uint64_t access) {
    struct path_rule rule = {access, open(path, O_PATH | O_CLOEXEC)};
    if (rule.directory < 0) return; /* what does not exist needs no permission */
    if (syscall(LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0)) {
        /* a plain file takes no directory rights */
        rule.access &= FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_IOCTL_DEV;
        if (syscall(LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0)) fail(path);
    }
    close(rule.directory);
}

static void confine_files(const char* writable, char** readable, int on_gpu) {
    const long version = syscall(LANDLOCK_CREATE, NULL, 0, 1);
    if (version <= 0) return;
    struct ruleset rules = {(1ull << 13) - 1, 0, 0};
    if (version >= 2) rules.filesystem |= 1ull << 13;
    if (version >= 3) rules.filesystem |= 1ull << 14;
    if (version >= 5) rules.filesystem |= 1ull << 15;
    if (version >= 4) rules.network = 3; /* bind and connect */
    if (version >= 6) rules.scoped = 3;  /* abstract sockets and signals */
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    const int ruleset = (int)syscall(LANDLOCK_CREATE, &rules, size, 0);
    if (ruleset < 0) fail("landlock");
    for (; strcmp(*readable, "--"); readable++) {
        const int device = on_gpu && !strncmp(*readable, "/dev/", 5);
        const uint64_t use = device ? FS_WRITE_FILE | (rules.filesystem & FS_IOCTL_DEV) : FS_EXECUTE;
        allow_path(ruleset, *readable, use | FS_READ_FILE | FS_READ_DIR);
    }
    allow_path(ruleset, "/dev/null", FS_READ_FILE | FS_WRITE_FILE);
    allow_path(ruleset, "/dev/urandom", FS_READ_FILE);
    allow_path(ruleset, writable, rules.filesystem & ~FS_EXECUTE);
    if (syscall(LANDLOCK_RESTRICT, ruleset, 0)) fail("landlock");
    close(ruleset);
}

/* What compilers, Python and the simt runner do: files by name (Landlock judges them), memory, threads and processes of
 * their own, signal handlers, clocks, and the descriptors that they were given. */
static const int allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_open, SYS_openat, SYS_creat,
    SYS_close, 436 /* close_range */, SYS_fstat, SYS_newfstatat, SYS_stat, SYS_lstat, 332 /* statx */, SYS_access,
    SYS_faccessat, 439 /* faccessat2 */, SYS_readlink, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir,
    SYS_mkdir, SYS_mkdirat, SYS_rmdir, SYS_unlink, SYS_unlinkat, SYS_rename, SYS_renameat, SYS_renameat2,
    SYS_statfs, SYS_fstatfs, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_umask, SYS_dup, SYS_dup2,
    SYS_dup3, SYS_pipe, SYS_pipe2,
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_msync, SYS_mincore, SYS_brk, SYS_mbind,
    SYS_get_mempolicy, SYS_set_mempolicy, SYS_futex, SYS_membarrier, 334 /* rseq */, SYS_set_robust_list,
    SYS_set_tid_address, SYS_arch_prctl, SYS_prctl, SYS_seccomp,
    SYS_clone, 435 /* clone3 */, SYS_fork, SYS_vfork, SYS_execve, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_sigaltstack,
    SYS_restart_syscall, SYS_pause, SYS_alarm, SYS_setitimer, SYS_getitimer,
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_time, SYS_times,
    SYS_sched_yield, SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_getrlimit, SYS_setrlimit,
    SYS_getrusage, SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_getcpu, SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgrp,
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getgroups, SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait, SYS_eventfd2,
    SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_getsockopt, SYS_getsockname, SYS_shutdown,
};
/* What GPU drivers, CUDA's memory shared between processes, and torch's own compiler need besides. Signals and sockets:
 * Landlock keeps them among the command's own processes from Linux 6.12 on; without `connect` a socket reaches nobody.
 * A driver that cannot bind and listen to a local socket of its own does not start. */
static const int gpu_allowed[] = {
    SYS_ioctl, SYS_fcntl, SYS_kill, SYS_tgkill, SYS_socketpair, SYS_memfd_create, SYS_mlock, SYS_munlock, SYS_mlock2,
    SYS_link, SYS_symlink, SYS_chmod, SYS_fchmod, SYS_fchmodat, SYS_utimensat, SYS_flock, SYS_setsid, SYS_setpgid,
    SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_sched_getparam, SYS_sched_getscheduler, SYS_timerfd_create,
    SYS_timerfd_settime, SYS_bind, SYS_listen, SYS_setsockopt,
};
static const uint32_t local_sockets[] = {AF_UNIX};
static const uint32_t descriptor_commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC};
static const uint32_t device_commands[] = {TCGETS, TIOCGWINSZ, FIOCLEX, FIONCLEX, FIONBIO, FIONREAD};
static const uint32_t itself[] = {0};
static const int about_itself[] = {SYS_prlimit64, SYS_sched_getaffinity, SYS_sched_setaffinity};

static void confine_calls(int on_gpu) {
    const uint32_t own[] = {(uint32_t)getpid()};
    struct filter filter;
    begin(&filter);
    decide(&filter, allowed, COUNT(allowed), SECCOMP_RET_ALLOW);
    if (on_gpu) {
        decide(&filter, gpu_allowed, COUNT(gpu_allowed), SECCOMP_RET_ALLOW);
        allow_values(&filter, SYS_socket, 0, local_sockets, COUNT(local_sockets));
    }
    allow_values(&filter, SYS_fcntl, 1, descriptor_commands, COUNT(descriptor_commands));
    allow_values(&filter, SYS_ioctl, 1, device_commands, COUNT(device_commands));
    for (size_t i = 0; i < COUNT(about_itself); i++) allow_values(&filter, about_itself[i], 0, itself, COUNT(itself));
    allow_values(&filter, SYS_tgkill, 0, own, COUNT(own)); /* abort() */
    if (install(&filter)) fail("seccomp");
}

enum { NOBODY = 65534 };

/* Whether the effective user may open all paths, now. */
static int reaches(char** paths) {
    for (; strcmp(*paths, "--"); paths++) {
        const int file = open(*paths, O_RDONLY | O_CLOEXEC);
        if (file < 0 && errno == EACCES) return 0;
        if (file >= 0) close(file);
    }
    return 1;
}

/* Become nobody, if that user can work in the writable folder and reach the readable paths. */
static void become_nobody(const char* writable, char** readable) {
    if (chown(writable, NOBODY, NOBODY)) return;
    if (seteuid(NOBODY) == 0) {
        const int works = faccessat(AT_FDCWD, writable, W_OK | X_OK, AT_EACCESS) == 0 && reaches(readable);
        if (seteuid(0)) fail("seteuid");
        if (works) {
            if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)) fail("setuid");
            return;
        }
    }
    if (chown(writable, 0, 0)) fail("chown");
}

/* Give up all capabilities, but for that to read files of other users where root's own permissions do not do. */
static void drop_capabilities(char** readable) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[2], tried[2], kept[2] = {{0}};
    if (syscall(SYS_capget, &header, held)) fail("capget");
    memcpy(tried, held, sizeof held);
    tried[0].effective = tried[1].effective = 0;
    if (syscall(SYS_capset, &header, tried)) fail("capset");
    if (!reaches(readable)) kept[0].permitted = kept[0].effective = held[0].permitted & 1u << CAP_DAC_READ_SEARCH;
    if (syscall(SYS_capset, &header, held)) fail("capset");
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) /* what a command could regain */
        if (capability != CAP_DAC_READ_SEARCH || !kept[0].permitted) prctl(PR_CAPBSET_DROP, capability);
    if (syscall(SYS_capset, &header, kept)) fail("capset");
}

int main(int count, char** words) {
    int separator = 6;
    while (separator < count && strcmp(words[separator], "--")) separator++;
    if (separator + 1 >= count) {
        fprintf(stderr, "usage: confine MODE WRITABLE CPU_SECONDS MEMORY_MB FILE_MB READABLE... -- COMMAND...\n");
        return 97;
    }
    char *writable = words[2], **readable = words + 6;
    const int on_gpu = !strcmp(words[1], "gpu");
    if (!on_gpu) {
        limit(RLIMIT_CPU, (rlim_t)atol(words[3]));
        limit(RLIMIT_AS, (rlim_t)atol(words[4]) << 20); /* a driver reserves far more addresses than it uses */
        limit(RLIMIT_NOFILE, 256);
    }
    limit(RLIMIT_FSIZE, (rlim_t)atol(words[5]) << 20);
    limit(RLIMIT_CORE, 0);
    if (!strcmp(words[1], "nobody") && geteuid() == 0) become_nobody(writable, readable);
    drop_capabilities(readable);
    if (!on_gpu) prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the user has changed, which resets it */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no_new_privs");
    confine_files(writable, readable, on_gpu);
    confine_calls(on_gpu);
    setenv("TMPDIR", writable, 1);
    execvp(words[separator + 1], words + separator + 1);
    fprintf(stderr, "confine: cannot run %s: %s\n", words[separator + 1], strerror(errno));
    return 99;
}
