/* A seccomp filter as a list of what is allowed: a call that is not on it fails, and does nothing.
 *
 * Calls fail with EPERM; those that younger C libraries try first and do without (clone3, faccessat2, ...) with ENOSYS.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { MOST_RULES = 1024, FIRST_YOUNG_CALL = 334, FIRST_X32_CALL = 0x40000000 };
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

struct filter {
    struct sock_filter rules[MOST_RULES];
    unsigned short count;
};

static void add(struct filter* filter, uint16_t code, uint32_t operand, uint8_t if_true, uint8_t if_false) {
    filter->rules[filter->count++] = (struct sock_filter){code, if_true, if_false, operand};
}

static void load(struct filter* filter, uint32_t field) { add(filter, BPF_LD | BPF_W | BPF_ABS, field, 0, 0); }

static void answer(struct filter* filter, uint32_t action) { add(filter, BPF_RET | BPF_K, action, 0, 0); }

static void begin(struct filter* filter) {
    filter->count = 0;
    load(filter, FIELD(arch));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    answer(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, FIELD(nr));
    add(filter, BPF_JMP | BPF_JGE | BPF_K, FIRST_X32_CALL, 0, 1);
    answer(filter, SECCOMP_RET_KILL_PROCESS);
}

/* `action` for each of `calls`. */
static void decide(struct filter* filter, const int* calls, size_t count, uint32_t action) {
    for (size_t i = 0; i < count; i++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
        answer(filter, action);
    }
}

/* `call` is allowed if the low half of its argument number `index` is one of `values`. */
static void allow_values(struct filter* filter, int call, int index, const uint32_t* values, size_t count) {
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, (uint8_t)(2 + 2 * count));
    load(filter, FIELD(args) + 8 * (uint32_t)index);
    for (size_t i = 0; i < count; i++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, values[i], 0, 1);
        answer(filter, SECCOMP_RET_ALLOW);
    }
    answer(filter, REFUSE);
}

/* Install the filter, for good; 0, or -1 and errno. */
static int install(struct filter* filter) {
    add(filter, BPF_JMP | BPF_JGE | BPF_K, FIRST_YOUNG_CALL, 0, 1);
    answer(filter, SECCOMP_RET_ERRNO | ENOSYS);
    answer(filter, REFUSE);
    struct sock_fprog program = {filter->count, filter->rules};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
