#include "launch.h"

#include <climits>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "loader.h"
#include "shared.h"

namespace simt {

namespace {

struct Cells {
    uint64_t values[kMaxArguments];
    void* pointers[kMaxArguments];
};
Cells cells[kMaxLaunches];

// Planning has held all this against the same limits, but for static shared memory (evaluation/planning.py).
void check_extent(const char* kernel, const char* what, const Extent& extent, const Extent& most) {
    const unsigned values[] = {extent.x, extent.y, extent.z}, limits[] = {most.x, most.y, most.z};
    for (int axis = 0; axis < 3; axis++)
        if (!values[axis] || values[axis] > limits[axis])
            finish("launch_error", "launch %s: %s %c is %u; it must be from 1 to %u", kernel, what, "xyz"[axis],
                   values[axis], limits[axis]);
}

void check_limits(const RequestedLaunch& launch) {
    const Extent& block = launch.block;
    check_extent(launch.kernel, "grid", launch.grid, {INT_MAX, 65535, 65535});
    check_extent(launch.kernel, "block", block, {1024, 1024, 64});
    if (block.x * block.y * block.z > kMaxThreads)
        finish("launch_error", "launch %s: block (%u, %u, %u) has %u threads; at most %u are allowed", launch.kernel,
               block.x, block.y, block.z, block.x * block.y * block.z, kMaxThreads);
    const size_t static_bytes = static_shared_bytes(launch.kernel), shared = launch.shared_bytes + static_bytes;
    if (static_bytes > kMaxShared)
        finish("compile_error", "the __shared__ variables of %s take %zu bytes; a kernel has at most %zu",
               launch.kernel, static_bytes, kMaxShared);
    if (shared > kMaxShared)
        finish("launch_error", "launch %s: shared memory is %zu bytes (%zu of them static); it must be from 0 to %zu",
               launch.kernel, shared, static_bytes, kMaxShared);
}

struct IntegerType {
    char code;
    const char* name;
    unsigned bytes;
    bool is_signed;
};
constexpr IntegerType kIntegerTypes[] = {
    {'?', "bool", 1, false},    {'c', "char", 1, true},           {'C', "unsigned char", 1, false},
    {'s', "short", 2, true},    {'S', "unsigned short", 2, false}, {'i', "int", 4, true},
    {'I', "unsigned", 4, false}, {'l', "long long", 8, true},      {'L', "unsigned long long", 8, false},
};

bool fits(long long value, const IntegerType& type) {
    if (type.code == '?') return value == 0 || value == 1;
    if (!type.is_signed && value < 0) return false;
    if (type.bytes == 8) return true;
    const long long limit = 1ll << (8 * type.bytes - type.is_signed);
    return value < limit && value >= (type.is_signed ? -limit : 0);
}

uint64_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Converts one argument to the kernel's parameter type, given by its code letter (shim/entry.h).
uint64_t convert(const Argument& argument, char code, const char* kernel, unsigned position, const Request& request) {
    if (code == 'p') {
        if (argument.kind == 'b') return request.buffers[argument.integer].address;
        finish("launch_error", "%s: argument %u is a number, but the kernel takes a pointer", kernel, position);
    }
    if (argument.kind == 'b')
        finish("launch_error", "%s: argument %u is the buffer %s, but the kernel takes %s", kernel, position,
               request.buffers[argument.integer].name, code == 'x' ? "a structure" : "a number");
    if (code == 'f') return bits_of((float)argument.floating);
    if (code == 'd') return bits_of(argument.floating);
    for (const IntegerType& type : kIntegerTypes) {
        if (type.code != code) continue;
        if (argument.kind == 'f')
            finish("launch_error", "%s: argument %u is a fraction, but the kernel takes %s", kernel, position,
                   type.name);
        if (fits(argument.integer, type)) return (uint64_t)argument.integer;
        finish("launch_error", "%s: argument %u is %lld, which does not fit the kernel's %s", kernel, position,
               argument.integer, type.name);
    }
    finish("launch_error", "%s: parameter %u has a type that a launch line cannot give", kernel, position);
}

void* find_kernel_symbol(const char* prefix, const char* kernel) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, kernel);
    void* symbol = find_symbol(name);
    if (!symbol) finish("launch_error", "the source defines no kernel %s", kernel);
    return symbol;
}

}  // namespace

void prepare_launch(const RequestedLaunch& requested, const Request& request, Launch& launch) {
    check_limits(requested);
    const char* signature = *(const char**)find_kernel_symbol("simt_signature_", requested.kernel);
    if (strlen(signature) != requested.argument_count)
        finish("launch_error", "%s takes %zu arguments, and the launch line gives %u", requested.kernel,
               strlen(signature), requested.argument_count);
    Cells& own = cells[&requested - request.launches];
    for (unsigned i = 0; i < requested.argument_count; i++) {
        own.values[i] = convert(requested.arguments[i], signature[i], requested.kernel, i + 1, request);
        own.pointers[i] = &own.values[i];
    }
    auto entry = (void (*)(void**))find_kernel_symbol("simt_call_", requested.kernel);
    launch = {requested.kernel, requested.grid, requested.block, requested.shared_bytes, entry, own.pointers};
}

}  // namespace simt
