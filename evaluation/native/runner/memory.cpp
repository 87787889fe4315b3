// Checks every load and store. The compiler's thread-sanitizer pass calls the __tsan_* functions before each
// access; they are ours, and no sanitizer runtime is linked.
#include "memory.h"

#include <sys/mman.h>

#include <cstring>

namespace simt {

namespace {

constexpr size_t kSlot = (size_t)1 << kSlotShift;
constexpr size_t kMaxSlots = 1 << 16;  // 4 GiB of buffers

Buffer* all_buffers;
unsigned buffer_count;
size_t arena_bytes;
uint8_t buffer_of_slot[kMaxSlots];  // index + 1; 0 for none
uintptr_t image_begin, image_end, image_writable;

const char* verb(Access access) {
    return is_read(access) ? "read" : access == Access::kAtomic ? "atomic update" : "write";
}

[[noreturn]] void report_buffer(const Buffer& buffer, uintptr_t address, size_t bytes, Access access) {
    const long long offset = (long long)(address - buffer.address);
    if (offset >= 0 && (size_t)offset + bytes <= buffer.bytes)
        finish("fault", "%s of input %s at byte %lld, which is read-only", verb(access), buffer.name, offset);
    finish("fault", "out-of-bounds %s of %zu bytes at byte %lld of %s, which has %zu bytes", verb(access), bytes,
           offset, buffer.name, buffer.bytes);
}

[[noreturn]] void report_arena(uintptr_t address, size_t bytes, Access access) {
    const Buffer* nearest = all_buffers;
    for (unsigned i = 0; i < buffer_count; i++)
        if (all_buffers[i].address <= address + kSlot / 2) nearest = all_buffers + i;
    report_buffer(*nearest, address, bytes, access);
}

[[noreturn]] void report_elsewhere(uintptr_t address, size_t bytes, Access access) {
    if (address - kDynamicShared < kMaxShared)
        finish("fault", "out-of-bounds %s of %zu bytes at byte %zu of dynamic shared memory, which has %zu bytes",
               verb(access), bytes, (size_t)(address - kDynamicShared), machine.launch->shared_bytes);
    if (address - (uintptr_t)static_shared < kMaxShared)
        finish("fault", "out-of-bounds %s of %zu bytes past the shared variables", verb(access), bytes);
    if (address - kStackBase < kMaxThreads * kStackSize)
        finish("fault", "%s of another thread's local variable", verb(access));
    if (address < 4096) finish("fault", "%s through a null pointer (address %zu)", verb(access), (size_t)address);
    if (address >= image_begin && address < image_end) finish("fault", "%s of a constant", verb(access));
    finish("fault", "wild %s of %zu bytes: the address belongs to no buffer", verb(access), bytes);
}

bool within(uintptr_t address, size_t bytes, uintptr_t begin, size_t size) {
    return address - begin < size && bytes <= size - (address - begin);
}

void check_elsewhere(uintptr_t address, size_t bytes, Access access) {
    if (within(address, bytes, machine.current->stack, kStackSize)) return;
    if (within(address, bytes, (uintptr_t)static_shared, machine.static_shared_bytes) ||
        within(address, bytes, kDynamicShared, machine.launch->shared_bytes))
        return check_shared(address, bytes, access);
    const uintptr_t begin = is_read(access) ? image_begin : image_writable;
    if (within(address, bytes, begin, image_end - begin)) return;
    report_elsewhere(address, bytes, access);
}

inline void check(void* pointer, size_t bytes, Access access) {
    if (!machine.current) return;
    spend();
    const uintptr_t address = (uintptr_t)pointer;
    const size_t offset = address - kArenaBase;
    if (offset >= arena_bytes) return check_elsewhere(address, bytes, access);
    const unsigned index = buffer_of_slot[offset >> kSlotShift];
    if (!index) report_arena(address, bytes, access);
    const Buffer& buffer = all_buffers[index - 1];
    if (!within(address, bytes, buffer.address, buffer.bytes) ||
        (!is_read(access) && buffer.role == Role::kInput))
        report_arena(address, bytes, access);
    if (buffer.role != Role::kInput) check_global(buffer, address - buffer.address, bytes, access);
}

// A bool that nobody has written is true (ones) or false; ones are NaN, or -1.
void poison_buffer(const Buffer& buffer) {
    if (buffer.is_bool && machine.large_poison) return;  // fresh memory is zero
    poison((void*)buffer.address, buffer.bytes);
}

void check_range(const void* pointer, size_t bytes, Access access) {
    machine.steps += bytes / 16;  // a structure is as much work as its parts
    if (bytes) check((void*)pointer, bytes, access);
}

}  // namespace

void poison(void* memory, size_t bytes) {
    if (!machine.large_poison) {
        memset(memory, 0xff, bytes);
        return;
    }
    constexpr size_t kPart = sizeof kLargePoison;
    const size_t whole = bytes / kPart * kPart;
    for (size_t at = 0; at < whole; at += kPart) memcpy((char*)memory + at, kLargePoison, kPart);
    memcpy((char*)memory + whole, kLargePoison, bytes - whole);
}

// Every buffer starts a slot of its own, with at least one empty slot after it: an overrun meets nothing. How many,
// a kernel must not rely on.
void map_buffers(Buffer* buffers, unsigned count) {
    all_buffers = buffers;
    buffer_count = count;
    const size_t empty = machine.large_poison ? 3 : 1;
    arena_bytes = empty * kSlot;
    for (unsigned i = 0; i < count; i++) {
        buffers[i].address = kArenaBase + arena_bytes;
        const size_t slots = (buffers[i].bytes + kSlot - 1) / kSlot;
        if ((arena_bytes >> kSlotShift) + slots + empty > kMaxSlots)
            finish("unsupported", "the buffers take more than 4 GiB");
        memset(buffer_of_slot + (arena_bytes >> kSlotShift), (int)i + 1, slots);
        arena_bytes += (slots + empty) * kSlot;
    }
    void* arena = mmap((void*)kArenaBase, arena_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (arena != (void*)kArenaBase)
        finish("unsupported", "the buffers (%zu MiB) do not fit into the memory limit", arena_bytes >> 20);
    for (unsigned i = 0; i < count; i++)
        if (buffers[i].role != Role::kInput) poison_buffer(buffers[i]);
}

void set_image(uintptr_t begin, uintptr_t end, uintptr_t writable) {
    image_begin = begin;
    image_end = end;
    image_writable = writable;
}

extern "C" {
#define SIMT_ACCESS(bytes)                                                                 \
    void __tsan_read##bytes(void* p) { check(p, bytes, Access::kRead); }                   \
    void __tsan_write##bytes(void* p) { check(p, bytes, Access::kWrite); }                 \
    void __tsan_unaligned_read##bytes(void* p) { check(p, bytes, Access::kRead); }         \
    void __tsan_unaligned_write##bytes(void* p) { check(p, bytes, Access::kWrite); }       \
    void __tsan_volatile_read##bytes(void* p) { check(p, bytes, Access::kVolatileRead); }   \
    void __tsan_volatile_write##bytes(void* p) { check(p, bytes, Access::kVolatileWrite); } \
    void __tsan_read_write##bytes(void* p) { check(p, bytes, Access::kWrite); }            \
    void __tsan_unaligned_read_write##bytes(void* p) { check(p, bytes, Access::kWrite); }
SIMT_ACCESS(1)
SIMT_ACCESS(2)
SIMT_ACCESS(4)
SIMT_ACCESS(8)
SIMT_ACCESS(16)
// The pointer to the table of virtual functions, which constructors write.
void __tsan_vptr_read(void** p) { check(p, sizeof *p, Access::kRead); }
void __tsan_vptr_update(void** p, void*) { check(p, sizeof *p, Access::kWrite); }
void __tsan_read_range(void* p, size_t bytes) { check_range(p, bytes, Access::kRead); }
void __tsan_write_range(void* p, size_t bytes) { check_range(p, bytes, Access::kWrite); }

void simt_atomic(void* address, int bytes) {
    if ((uintptr_t)address % (unsigned)bytes) finish("fault", "misaligned atomic update");
    check(address, (size_t)bytes, Access::kAtomic);
}
// Before a load that goes through the read-only cache (__ldg).
void simt_read_only(const void* address, int bytes) {
    const size_t offset = (uintptr_t)address - kArenaBase;
    if (offset >= arena_bytes || !buffer_of_slot[offset >> kSlotShift]) return;
    const Buffer& buffer = all_buffers[buffer_of_slot[offset >> kSlotShift] - 1];
    check_read_only(buffer, (uintptr_t)address - buffer.address, (size_t)bytes);
}
void* simt_memcpy(void* to, const void* from, size_t bytes) {
    check_range(from, bytes, Access::kRead);
    check_range(to, bytes, Access::kWrite);
    return memmove(to, from, bytes);
}
void* simt_memset(void* to, int value, size_t bytes) {
    check_range(to, bytes, Access::kWrite);
    return memset(to, value, bytes);
}
}

}  // namespace simt
