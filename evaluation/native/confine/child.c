/* The last lock on a process that runs a reference program: `lock` leaves it computing, reading and answering.
 *
 * What the launcher denied stays denied. Landlock does not judge who asks for the size or time of a file (`stat`), so
 * here a path can be looked at only by opening it, which Landlock does judge: the kernel turns stat into a signal, and
 * the handler opens the file and asks by descriptor. The handler may be subverted; it can do no more than the process.
 */
#define _GNU_SOURCE
#include <asm/ioctls.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "filter.h"

/* Everything by which a program computes, allocates, sleeps, reads what is open and writes its answer. */
static const int allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_lseek, SYS_close, SYS_fstat, SYS_getdents64, SYS_getcwd,
    SYS_dup, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_futex, SYS_exit, SYS_exit_group,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall,
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_time, SYS_sched_yield,
    SYS_getrandom, SYS_getrusage, SYS_times, SYS_getcpu, SYS_uname, SYS_poll, SYS_ppoll,
    SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
};
static const int looking[] = {SYS_newfstatat, SYS_stat, SYS_lstat};
static const uint32_t descriptor_commands[] = {F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC};
static const uint32_t device_commands[] = {TCGETS, FIOCLEX};
static const uint32_t itself[] = {0};

/* Opening is allowed for reading only. */
static void allow_reading(struct filter* filter) {
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4);
    load(filter, FIELD(args) + 8 * 2);
    add(filter, BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_PATH, 0, 1);
    answer(filter, REFUSE);
    answer(filter, SECCOMP_RET_ALLOW);
}

static long ask(long file, struct stat* found) { return syscall(SYS_fstat, file, found) ? -errno : 0; }

static long look(int folder, const char* path, struct stat* found, long flags) {
    const int how = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    if (flags & AT_EMPTY_PATH) return ask(folder, found);
    const long file = syscall(SYS_openat, folder, path, how);
    if (file < 0) return -errno;
    const long result = ask(file, found);
    syscall(SYS_close, file);
    return result;
}

static void on_refused(int number, siginfo_t* info, void* context) {
    (void)number;
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const greg_t first = registers[REG_RDI], second = registers[REG_RSI], third = registers[REG_RDX];
    const int kept = errno;
    if (info->si_syscall == SYS_newfstatat)
        registers[REG_RAX] = look((int)first, (const char*)second, (struct stat*)third, registers[REG_R10]);
    else
        registers[REG_RAX] = look(AT_FDCWD, (const char*)first, (struct stat*)second,
                                  info->si_syscall == SYS_lstat ? AT_SYMLINK_NOFOLLOW : 0);
    errno = kept;
}

/* Lock this process for good, and have it die with its parent; 0, or the error's number. */
int lock(void) {
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    struct filter filter;
    begin(&filter);
    decide(&filter, allowed, COUNT(allowed), SECCOMP_RET_ALLOW);
    decide(&filter, looking, COUNT(looking), SECCOMP_RET_TRAP);
    allow_reading(&filter);
    allow_values(&filter, SYS_fcntl, 1, descriptor_commands, COUNT(descriptor_commands));
    allow_values(&filter, SYS_ioctl, 1, device_commands, COUNT(device_commands));
    allow_values(&filter, SYS_sched_getaffinity, 0, itself, COUNT(itself));
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_PDEATHSIG, SIGKILL)) return errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || install(&filter)) return errno;
    return 0;
}
