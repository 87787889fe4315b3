// Fibers for x86-64. Stacks are handed out when a thread first runs and taken back when it ends: a kernel
// without barriers therefore runs all its threads on one warm stack.
#include "fiber.h"

#include "poison.h"

#include <sys/mman.h>

#ifndef __x86_64__
#error "the simt runner switches fibers on x86-64 only"
#endif

namespace simt {

namespace {
constexpr size_t kUnseen = 192;  // what functions that do not report a step (the shim's) may use below the others

void* scheduler_stack_pointer;
uintptr_t free_stacks[kMaxStacks];
unsigned stack_count, free_count;
uintptr_t used_down_to[kMaxStacks];  // of each stack, by the last thread on it
uintptr_t next_fresh = kStackBase;  // the lowest stack that nobody has used; they are first handed out in this order
size_t expected_depth;              // of stacks; more is seen to when it is found

size_t stack_number(const Thread& thread) { return (thread.stack - kStackBase) / kStackSize; }
}  // namespace

// Saves the callee-saved registers on the current stack and continues on another.
extern "C" void simt_switch(void** save, void* load);
asm(R"(
.text
.globl simt_switch
simt_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
)");

void map_stacks(unsigned count) {
    void* area = mmap((void*)kStackBase, count * kStackSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (area != (void*)kStackBase) finish("unsupported", "the runner could not map %u stacks", count);
    stack_count = count;
    free_all_stacks();
}

void free_all_stacks() {
    for (unsigned i = 0; i < stack_count; i++) free_stacks[i] = kStackBase + (stack_count - 1 - i) * kStackSize;
    free_count = stack_count;
}

void expect_frames(size_t largest) { expected_depth = largest + 4096; }

void start_fiber(Thread& thread, void (*body)()) {
    thread.stack = free_stacks[--free_count];
    thread.deepest = used_down_to[stack_number(thread)];
    if (thread.stack == next_fresh) {
        const size_t bytes = thread.stack == kStackBase ? kStackSize : expected_depth;
        poison((void*)(thread.stack + kStackSize - bytes), bytes);
        next_fresh += kStackSize;
        thread.deepest = thread.stack + kStackSize;
    }
    void** top = (void**)(thread.stack + kStackSize - 64);
    *--top = nullptr;        // the return address of `body`, which never returns; keeps the stack aligned
    *--top = (void*)body;    // where simt_switch returns to
    for (int i = 0; i < 6; i++) *--top = nullptr;  // the callee-saved registers
    thread.stack_pointer = top;
}

// The whole of the first stack, which every run uses, is poison at first, and of another one as much as threads have
// used of theirs so far. What the thread before has left on a stack is overwritten here.
void enter_kernel() {
    const auto here = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t from = machine.deepest - kUnseen;
    size_t bytes = here > from ? here - from : 0;
    if (bytes > kPoisonPart) {
        poison((void*)from, bytes - kPoisonPart);
        bytes = kPoisonPart;
    }
    machine.deepest = here;
    simt_enter(machine.launch->entry, machine.launch->arguments, (bytes + 63) / 64 * 64, poison_part());
}

void pass_stack(Thread& done, Thread& next) {
    next.stack = done.stack;
    done.stack = 0;
    machine.current = &next;
}

Thread& resume_fiber(Thread& thread) {
    machine.current = &thread;
    machine.deepest = thread.deepest;
    simt_switch(&scheduler_stack_pointer, thread.stack_pointer);
    Thread& last = *machine.current;
    machine.current = nullptr;
    last.deepest = machine.deepest;
    const size_t depth = last.stack + kStackSize - last.deepest + kUnseen;
    if (depth > expected_depth) expected_depth = depth;
    if (last.state == State::kDone) {
        used_down_to[stack_number(last)] = last.deepest;
        free_stacks[free_count++] = last.stack;
        last.stack = 0;
    }
    return last;
}

unsigned stacks_in_use() { return stack_count - free_count; }

void suspend_fiber(Thread& thread) { simt_switch(&thread.stack_pointer, scheduler_stack_pointer); }

}  // namespace simt
