// Where a candidate's code may jump. Its calls through pointers and its returns are compiled as jumps to the thunks
// below (-mindirect-branch=thunk-extern, -mfunction-return=thunk-extern), which let it go only to its own code, and
// at the end back to where it was called from. The runner's and the C library's functions are therefore out of
// reach, however well their addresses are known; what a candidate may call, it calls directly.
#include "machine.h"

namespace simt {

extern "C" {
uint64_t simt_code_bytes;  // of the image, which begins with the code
[[noreturn]] void simt_refuse_branch() {
    finish("fault", "a jump to an address that is no function of the kernel's (or its stack is damaged)");
}
void simt_enter(void (*entry)(void**), void** arguments);
}

static_assert(kImageBase == 0x50000000, "the thunks have it as a number");

asm(R"(
.text
.macro simt_call_thunk register
.globl __x86_indirect_thunk_\register
__x86_indirect_thunk_\register:
    push %\register
    sub $0x50000000, %\register
    cmp simt_code_bytes(%rip), %\register
    pop %\register
    jae simt_bad_branch
    jmp *%\register
.endm
.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    simt_call_thunk \register
.endr

.globl __x86_return_thunk
__x86_return_thunk:
    mov (%rsp), %r11
    sub $0x50000000, %r11
    cmp simt_code_bytes(%rip), %r11
    jae 1f
    ret
1:  cmpq $simt_entered, (%rsp)
    jne simt_bad_branch
    ret

simt_bad_branch:
    and $-16, %rsp
    call simt_refuse_branch

.globl simt_enter
simt_enter:
    sub $8, %rsp
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
simt_entered:
    add $8, %rsp
    ret
)");

}  // namespace simt
