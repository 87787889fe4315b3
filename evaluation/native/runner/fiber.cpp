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
void* scheduler_stack_pointer;
uintptr_t free_stacks[kMaxStacks];
unsigned free_count;
uintptr_t next_fresh;  // the lowest stack that this launch has not used; stacks are first handed out in this order

// Local variables start as poison where no thread of this launch has run before. All of the first stack, which
// every launch uses, is filled; of the others only the page that a thread touches in any case, for speed.
void poison_stack(uintptr_t stack) {
    constexpr size_t kPage = 4096;
    const size_t bytes = stack == kStackBase ? kStackSize : kPage;
    poison((void*)(stack + kStackSize - bytes), bytes);
}
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
    for (unsigned i = 0; i < count; i++) free_stacks[i] = kStackBase + (count - 1 - i) * kStackSize;
    free_count = count;
}

void refresh_stacks() { next_fresh = kStackBase; }

void start_fiber(Thread& thread, void (*body)()) {
    thread.stack = free_stacks[--free_count];
    if (thread.stack == next_fresh) {
        poison_stack(thread.stack);
        next_fresh += kStackSize;
    }
    void** top = (void**)(thread.stack + kStackSize - 64);
    *--top = nullptr;        // the return address of `body`, which never returns; keeps the stack aligned
    *--top = (void*)body;    // where simt_switch returns to
    for (int i = 0; i < 6; i++) *--top = nullptr;  // the callee-saved registers
    thread.stack_pointer = top;
}

void release_stack(Thread& thread) {
    free_stacks[free_count++] = thread.stack;
    thread.stack = 0;
}

void resume_fiber(Thread& thread) {
    machine.current = &thread;
    simt_switch(&scheduler_stack_pointer, thread.stack_pointer);
    machine.current = nullptr;
}

void suspend_fiber(Thread& thread) { simt_switch(&thread.stack_pointer, scheduler_stack_pointer); }

}  // namespace simt
