// Shared memory: where its variables lie, what of it the block has written, and what it holds before.
//
// Every byte has a state: 0 for what belongs to no variable (each has a gap behind it), kUnwritten, or the number of
// the block that wrote it last.
#include "shared.h"

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "loader.h"
#include "poison.h"

namespace simt {

alignas(256) thread_local char static_shared[kSharedRoom];

namespace {

constexpr unsigned kMaxVariables = 1024;
constexpr size_t kLeastGap = 64, kMostGap = 4096;
constexpr size_t kTile = 32;  // what may hold a row of a matrix is aligned for its fragments
constexpr uint8_t kUnwritten = 255;

struct Variable {
    const char* name;  // mangled
    size_t begin, bytes;
};
Variable variables[kMaxVariables];
unsigned variable_count;
size_t variables_end, guards_begin = kSharedRoom;

uint8_t static_states[kSharedRoom], dynamic_states[kMaxShared];
uint8_t block_number, last_number;

// What is kept of a block in flight while another one runs: all of them use the same addresses.
struct Aside {
    char variables[kSharedRoom], dynamic[kMaxShared];
    uint8_t static_states[kSharedRoom], dynamic_states[kMaxShared];
    uint8_t block_number;
};
Aside aside[kMaxResidents];

// The last part of a mangled name (`tile` of `_ZZ3mulPfE4tile_0`); another name is its own.
void plain_name(const char* mangled, char (&name)[64]) {
    const char* last = mangled;
    size_t length = strlen(mangled);
    for (const char* at = strncmp(mangled, "_Z", 2) ? "" : mangled; *at;) {
        char* end = nullptr;
        const size_t count = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : 0;
        if (!count || strlen(end) < count) {
            at++;
            continue;
        }
        last = end;
        length = count;
        at = end + count;
    }
    snprintf(name, sizeof name, "%.*s", (int)length, last);
}

[[noreturn]] void report_overrun(size_t offset, size_t bytes, Access access) {
    const Variable* nearest = variables;
    for (unsigned i = 0; i < variable_count; i++)
        if (variables[i].begin <= offset) nearest = variables + i;
    char name[64] = "none";
    if (variable_count) plain_name(nearest->name, name);
    finish("fault", "out-of-bounds %s of %zu bytes at byte %lld of the shared variable %s, which has %zu bytes",
           verb(access), bytes, (long long)offset - (long long)nearest->begin, name, nearest->bytes);
}

// Whether the variable is local to a kernel other than `kernel`.
bool belongs_to_another(const Variable& variable, const char* kernel) {
    char* function = nullptr;
    const size_t length = strncmp(variable.name, "_ZZ", 3) ? 0 : strtoul(variable.name + 3, &function, 10);
    if (!length || strlen(function) < length) return false;
    char entry[128];
    snprintf(entry, sizeof entry, "simt_call_%.*s", (int)length, function);
    return strcmp(entry + strlen("simt_call_"), kernel) && find_symbol(entry);
}

void forget_writes() {
    for (unsigned i = 0; i < variable_count; i++) memset(static_states + variables[i].begin, kUnwritten, variables[i].bytes);
    memset(dynamic_states, kUnwritten, machine.launch->shared_bytes);
    last_number = 0;
}

// The state of a byte of shared memory; null elsewhere.
uint8_t* state_of(uintptr_t address) {
    const size_t in_static = address - (uintptr_t)static_shared, in_dynamic = address - kDynamicShared;
    return in_static < kSharedRoom ? static_states + in_static
           : in_dynamic < kMaxShared ? dynamic_states + in_dynamic : nullptr;
}

}  // namespace

// A guard says whether a variable of class type has been initialised. CUDA initialises none, so all say yes; they lie
// apart, at the end.
uintptr_t place_shared(const char* name, size_t bytes, size_t alignment) {
    const bool guard = !strncmp(name, "_ZGV", 4);
    const size_t gap = bytes < kLeastGap ? kLeastGap : bytes < kMostGap ? bytes : kMostGap;
    if (bytes >= kTile && alignment < kTile) alignment = kTile;
    const size_t begin = (variables_end + alignment - 1) / alignment * alignment;
    if (bytes > kMaxShared)
        finish("compile_error", "a __shared__ variable takes %zu bytes; a kernel has at most %zu", bytes, kMaxShared);
    if (variable_count == kMaxVariables || begin + bytes + gap + 256 > guards_begin)
        finish("unsupported", "the source has too many or too large __shared__ variables");
    if (guard) {
        guards_begin = (guards_begin - bytes) / alignment * alignment;
        memset(static_shared + guards_begin, 1, bytes);
        return (uintptr_t)static_shared + guards_begin;
    }
    variables[variable_count++] = {name, begin, bytes};
    variables_end = begin + bytes + gap;
    return (uintptr_t)static_shared + begin;
}

size_t static_shared_bytes(const char* kernel) {
    size_t bytes = 0;
    for (unsigned i = 0; i < variable_count; i++)
        if (!belongs_to_another(variables[i], kernel)) bytes += variables[i].bytes;
    return bytes;
}

void begin_shared() {
    static const Launch* launch;
    if (launch != machine.launch || ++last_number == kUnwritten) {
        launch = machine.launch;
        forget_writes();
        last_number = 1;
    }
    block_number = last_number;
    for (unsigned i = 0; i < variable_count; i++) {
        poison(static_shared + variables[i].begin, variables[i].bytes);
        machine.steps += variables[i].bytes / 64;
    }
    poison((void*)kDynamicShared, machine.launch->shared_bytes);
    machine.steps += machine.launch->shared_bytes / 64;
}

void put_shared_aside(unsigned resident) {
    Aside& kept = aside[resident];
    const size_t dynamic = machine.launch->shared_bytes;
    memcpy(kept.variables, static_shared, variables_end);
    memcpy(kept.static_states, static_states, variables_end);
    memcpy(kept.dynamic, (void*)kDynamicShared, dynamic);
    memcpy(kept.dynamic_states, dynamic_states, dynamic);
    kept.block_number = block_number;
    machine.steps += (variables_end + dynamic) / 32;
}

void take_shared_back(unsigned resident) {
    const Aside& kept = aside[resident];
    const size_t dynamic = machine.launch->shared_bytes;
    memcpy(static_shared, kept.variables, variables_end);
    memcpy(static_states, kept.static_states, variables_end);
    memcpy((void*)kDynamicShared, kept.dynamic, dynamic);
    memcpy(dynamic_states, kept.dynamic_states, dynamic);
    block_number = kept.block_number;
}

bool lies_in_shared(uintptr_t address) { return state_of(address) != nullptr; }

void await_write(uintptr_t address, size_t bytes) {
    memset(state_of(address), kUnwritten, bytes);
    poison((void*)address, bytes);
}

bool is_unwritten(uintptr_t address, size_t bytes) {
    const uint8_t* states = state_of(address);
    for (size_t i = 0; i < bytes; i++)
        if (states[i] != kUnwritten) return false;
    return true;
}

bool is_shared(uintptr_t address, size_t bytes, Access access) {
    const size_t in_static = address - (uintptr_t)static_shared, in_dynamic = address - kDynamicShared;
    uint8_t* states;
    if (in_static < kSharedRoom) {
        if (in_static >= guards_begin && is_read(access)) return true;
        states = static_states + in_static;
        if (bytes > kSharedRoom - in_static || !states[0] || !states[bytes - 1] ||
            (bytes > kLeastGap && memchr(states, 0, bytes)))
            report_overrun(in_static, bytes, access);
    } else if (in_dynamic < kMaxShared) {
        states = dynamic_states + in_dynamic;
        if (in_dynamic + bytes > machine.launch->shared_bytes || bytes > kMaxShared)
            finish("fault", "out-of-bounds %s of %zu bytes at byte %zu of dynamic shared memory, which has %zu bytes",
                   verb(access), bytes, in_dynamic, machine.launch->shared_bytes);
    } else {
        return false;
    }
    if (machine.rehearsing) return true;
    if (!note_access(states, bytes, access, block_number))
        finish("fault", "%s of %zu bytes of shared memory that its block has not written (yet)", verb(access), bytes);
    check_shared(address, bytes, access);
    return true;
}

}  // namespace simt
