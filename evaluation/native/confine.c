/* confine WRITABLE CPU_SECONDS MEMORY_MB FILE_MB READABLE... -- COMMAND...
 *
 * Runs a command that may do harm, with resource limits, Landlock (it reads and executes only below the READABLE
 * paths and writes only below WRITABLE) and a seccomp filter (no sockets, no signals to others, no look into other
 * processes, no kernel features that it has no use for). Needs no privilege and no namespace, so it works inside
 * containers. On a kernel without Landlock it goes on with the rest and says so on standard error.
 *
 * Exit status 97: wrong usage; 98: the confinement could not be set up; 99: the command could not be started.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock's interface, written out because older kernel headers lack it. */
enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD_RULE = 445, LANDLOCK_RESTRICT = 446 };
enum { RULE_PATH_BENEATH = 1 };
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
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
        rule.access &= FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE;
        if (syscall(LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0)) fail(path);
    }
    close(rule.directory);
}

static void confine_files(const char* writable, char** readable) {
    const long version = syscall(LANDLOCK_CREATE, NULL, 0, 1);
    if (version <= 0) {
        fprintf(stderr, "confine: this kernel has no Landlock; file access is limited by permissions only\n");
        return;
    }
    struct ruleset rules = {(1ull << 13) - 1, 0, 0};
    if (version >= 2) rules.filesystem |= 1ull << 13;
    if (version >= 3) rules.filesystem |= 1ull << 14;
    if (version >= 5) rules.filesystem |= 1ull << 15;
    if (version >= 4) rules.network = 3; /* bind and connect */
    if (version >= 6) rules.scoped = 3;  /* abstract sockets and signals */
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    const int ruleset = (int)syscall(LANDLOCK_CREATE, &rules, size, 0);
    if (ruleset < 0) fail("landlock");
    for (; strcmp(*readable, "--"); readable++) allow_path(ruleset, *readable, FS_EXECUTE | FS_READ_FILE | FS_READ_DIR);
    allow_path(ruleset, "/dev/null", FS_READ_FILE | FS_WRITE_FILE);
    allow_path(ruleset, "/dev/urandom", FS_READ_FILE);
    allow_path(ruleset, writable, rules.filesystem & ~FS_EXECUTE);
    if (syscall(LANDLOCK_RESTRICT, ruleset, 0)) fail("landlock");
    close(ruleset);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define DENY(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), RETURN(SECCOMP_RET_ERRNO | EPERM)
/* Denied unless the first argument is `value`; the call's number is loaded again for the next rule. */
#define DENY_UNLESS_FIRST(number, value)                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4), LOAD(args[0]),                             \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0), RETURN(SECCOMP_RET_ERRNO | EPERM), LOAD(nr)

static void confine_calls(void) {
    struct sock_filter rules[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* the x32 twins of all calls */
        RETURN(SECCOMP_RET_KILL_PROCESS),
        DENY(SYS_socket), DENY(SYS_socketpair), DENY(SYS_connect), DENY(SYS_bind),
        DENY(SYS_ptrace), DENY(SYS_process_vm_readv), DENY(SYS_process_vm_writev),
        DENY(SYS_kill), DENY(SYS_tkill), DENY(SYS_rt_sigqueueinfo), DENY(SYS_rt_tgsigqueueinfo),
        DENY(424 /* pidfd_send_signal */), DENY(434 /* pidfd_open */), DENY(438 /* pidfd_getfd */),
        DENY_UNLESS_FIRST(SYS_tgkill, (uint32_t)getpid()),
        DENY_UNLESS_FIRST(SYS_prlimit64, 0),
        DENY(425), DENY(426), DENY(427), /* io_uring */
        DENY(SYS_unshare), DENY(SYS_setns), DENY(SYS_mount), DENY(SYS_umount2), DENY(SYS_chroot), DENY(SYS_pivot_root),
        DENY(428), DENY(429), DENY(430), DENY(442), /* open_tree, move_mount, fsopen, mount_setattr */
        DENY(SYS_bpf), DENY(SYS_perf_event_open), DENY(SYS_userfaultfd), DENY(SYS_keyctl), DENY(SYS_add_key),
        DENY(SYS_request_key), DENY(SYS_reboot), DENY(SYS_init_module), DENY(SYS_finit_module), DENY(SYS_kexec_load),
        DENY(SYS_swapon), DENY(SYS_swapoff), DENY(SYS_shmget), DENY(SYS_msgget), DENY(SYS_semget), DENY(SYS_mq_open),
        DENY(SYS_setpriority), DENY(SYS_settimeofday), DENY(SYS_clock_settime), DENY(SYS_sethostname),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("seccomp");
}

int main(int count, char** words) {
    int separator = 5;
    while (separator < count && strcmp(words[separator], "--")) separator++;
    if (separator + 1 >= count) {
        fprintf(stderr, "usage: confine WRITABLE CPU_SECONDS MEMORY_MB FILE_MB READABLE... -- COMMAND...\n");
        return 97;
    }
    limit(RLIMIT_CPU, (rlim_t)atol(words[2]));
    limit(RLIMIT_AS, (rlim_t)atol(words[3]) << 20);
    limit(RLIMIT_FSIZE, (rlim_t)atol(words[4]) << 20);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 256);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no_new_privs");
    confine_files(words[1], words + 5);
    confine_calls();
    setenv("TMPDIR", words[1], 1);
    execvp(words[separator + 1], words + separator + 1);
    fprintf(stderr, "confine: cannot run %s: %s\n", words[separator + 1], strerror(errno));
    return 99;
}
