// Where a candidate's code may jump. Its calls through pointers and its returns are compiled as jumps to the thunks
// below (-mindirect-branch=thunk-extern, -mfunction-return=thunk-extern), which let calls go only to where a function of
// its own begins, and returns only to behind a call of such a function or of a thunk, or at the end back to the runner.
// The runner's and the C library's functions are therefore out of reach, however well their addresses are known, and
// so is what a constant spells as code; what a candidate may call, it calls directly.
#include "machine.h"

namespace simt {

extern "C" {
uint64_t simt_code_bytes;     // of the image, which begins with the code
const uint8_t* simt_entries;  // for each of them whether a function begins there
[[noreturn]] void simt_refuse_branch() {
    finish("fault", "a jump to an address that is no function of the kernel's (or its stack is damaged)");
}
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
    jae simt_bad_branch
    add simt_entries(%rip), %\register
    cmpb $0, (%\register)
    pop %\register
    je simt_bad_branch
    jmp *%\register
.endm
simt_thunks:
.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    simt_call_thunk \register
.endr

simt_thunks_end:

.globl __x86_return_thunk
__x86_return_thunk:
    mov (%rsp), %r11
    lea -0x50000000(%r11), %r10
    cmp simt_code_bytes(%rip), %r10
    jae 2f
    cmpb $0xe8, -5(%r11)
    jne simt_bad_branch
    movslq -4(%r11), %r10
    add %r10, %r11
    lea -0x50000000(%r11), %r10
    cmp simt_code_bytes(%rip), %r10
    jae 1f
    add simt_entries(%rip), %r10
    cmpb $0, (%r10)
    je simt_bad_branch
    ret
1:  cmp $simt_thunks, %r11
    jb simt_bad_branch
    cmp $simt_thunks_end, %r11
    jae simt_bad_branch
    ret
2:  cmp $simt_entered, %r11
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
    mov %rsp, %rsi
    sub %rdx, %rsi
1:  sub $64, %rdx
    jb 2f
    movups (%rcx, %rdx), %xmm0
    movups 16(%rcx, %rdx), %xmm1
    movups 32(%rcx, %rdx), %xmm2
    movups 48(%rcx, %rdx), %xmm3
    movups %xmm0, (%rsi, %rdx)
    movups %xmm1, 16(%rsi, %rdx)
    movups %xmm2, 32(%rsi, %rdx)
    movups %xmm3, 48(%rsi, %rdx)
    jmp 1b
2:  call *%rax
simt_entered:
    add $8, %rsp
    ret
)");

}  // namespace simt
