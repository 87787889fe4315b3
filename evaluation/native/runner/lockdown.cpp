// Time limits, crash reports and the last seccomp filter.
#include "lockdown.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <initializer_list>

#include "machine.h"

namespace simt {

namespace {

alignas(16) char signal_stack[64 * 1024];

void on_signal(int signal, siginfo_t* info, void*) {
    if (signal == SIGFPE) finish("fault", "integer division by zero (or the smallest integer divided by -1)");
    if (signal == SIGILL) finish("fault", "the kernel ran into an illegal instruction");
    const uintptr_t address = (uintptr_t)info->si_addr;
    finish("fault", "invalid access at address 0x%llx", (unsigned long long)address);
}

// Every second of CPU time: the compiler leaves an empty loop without instrumentation, so it takes no steps.
void on_idle_timer(int) {
    static uint64_t steps_before = ~0ull;
    if (machine.steps == steps_before) finish("timeout", "the kernel is in an empty endless loop");
    steps_before = machine.steps;
}

}  // namespace

void die_with(int parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);  // it died first
}

void limit_time(double seconds) {
    const rlim_t last = (rlim_t)seconds + 2;
    const struct rlimit both = {last, last};
    if (setrlimit(RLIMIT_CPU, &both)) finish("unsupported", "the runner could not limit the CPU time");
    const long microseconds = (long)(seconds * 1e6) + 1;
    struct itimerval processor = {}, wall = {}, idle = {};
    processor.it_value = {microseconds / 1000000, microseconds % 1000000};
    wall.it_value = {(long)(seconds * 10) + 10, 0};
    idle.it_value = idle.it_interval = {1, 0};
    setitimer(ITIMER_PROF, &processor, nullptr);
    setitimer(ITIMER_REAL, &wall, nullptr);
    setitimer(ITIMER_VIRTUAL, &idle, nullptr);
}

void limit_memory(unsigned long long megabytes) {
    const struct rlimit both = {(rlim_t)megabytes << 20, (rlim_t)megabytes << 20};
    if (setrlimit(RLIMIT_AS, &both)) finish("unsupported", "the runner could not limit the memory");
}

void catch_signals() {
    stack_t stack = {};
    stack.ss_sp = signal_stack;
    stack.ss_size = sizeof signal_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
    struct sigaction watch = {};
    watch.sa_handler = on_idle_timer;
    watch.sa_flags = SA_ONSTACK;
    sigaction(SIGVTALRM, &watch, nullptr);
}

void lock_down() {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kReportFile, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        finish("unsupported", "the operating system has no seccomp filters, without which no candidate is run");
}

}  // namespace simt
