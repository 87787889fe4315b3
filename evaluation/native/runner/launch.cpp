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

void check_extents(const RequestedLaunch& launch) {
    const Extent grid = launch.grid, block = launch.block;
    if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z)
        finish("launch_error", "%s: every extent of grid and block must be at least 1", launch.kernel);
    if (grid.x > INT_MAX || grid.y > 65535 || grid.z > 65535)
        finish("launch_error", "%s: the grid (%u, %u, %u) is over CUDA's limit", launch.kernel, grid.x, grid.y, grid.z);
    if (block.x > 1024 || block.y > 1024 || block.z > 64 || block.x * block.y * block.z > kMaxThreads)
        finish("launch_error", "%s: the block (%u, %u, %u) has more than %u threads or a side over CUDA's limit",
               launch.kernel, block.x, block.y, block.z, kMaxThreads);
    const size_t static_bytes = static_shared_bytes(launch.kernel);
    if (static_bytes > kMaxShared)
        finish("compile_error", "the __shared__ variables of %s take %zu bytes; a kernel has at most %zu",
               launch.kernel, static_bytes, kMaxShared);
    if (launch.shared_bytes + static_bytes > kMaxShared)
        finish("launch_error", "%s: %zu bytes of shared memory (%zu dynamic) are over the limit of %zu", launch.kernel,
               launch.shared_bytes + static_bytes, launch.shared_bytes, kMaxShared);
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
    check_extents(requested);
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
