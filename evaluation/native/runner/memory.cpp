// Checks every load and store: that it stays within its object, and that somebody has written what it reads. The compiler's thread-sanitizer pass calls the __tsan_* functions before each
// access; they are ours, and no sanitizer runtime is linked.
#include "memory.h"

#include <sys/mman.h>

#include <cstring>

#include "poison.h"
#include "rehearsal.h"
#include "shared.h"

namespace simt {

size_t touched_pages;

namespace {

constexpr size_t kMaxSlots = 1 << 16;  // 4 GiB of buffers, in a rehearsal 4 TiB
constexpr size_t kPage = 4096, kLargePage = 2u << 20, kMaxTouched = 1 << 12;

Buffer* all_buffers;
unsigned buffer_count;
uintptr_t arena_begin;
size_t arena_bytes;
unsigned slot_shift;
uint8_t buffer_of_slot[kMaxSlots];  // index + 1; 0 for none
uint16_t* touched_by;  // in a rehearsal, which sample accessed a page of the arena last; 0 for none
uintptr_t image_begin, image_end;

[[noreturn]] void report_buffer(const Buffer& buffer, uintptr_t address, size_t bytes, Access access) {
    const long long offset = (long long)(address - buffer.address);
    const bool beside = (offset < 0 && offset >= -(long long)kPage) || offset - buffer.bytes < 16;
    if (machine.rehearsing && beside) end_sample();  // perhaps an index that stands for "not found" in made-up data
    if (offset >= 0 && (size_t)offset + bytes <= buffer.bytes)
        finish("fault", "%s of input %s at byte %lld, which is read-only", verb(access), buffer.name, offset);
    finish("fault", "out-of-bounds %s of %zu bytes at byte %lld of %s, which has %zu bytes", verb(access), bytes,
           offset, buffer.name, buffer.bytes);
}

[[noreturn]] void report_arena(uintptr_t address, size_t bytes, Access access) {
    const Buffer* nearest = all_buffers;
    for (unsigned i = 0; i < buffer_count; i++)
        if (all_buffers[i].address <= address + ((size_t)1 << slot_shift) / 2) nearest = all_buffers + i;
    report_buffer(*nearest, address, bytes, access);
}

[[noreturn]] void report_elsewhere(uintptr_t address, size_t bytes, Access access) {
    if (is_on_a_stack(address))
        finish("fault", "%s of another thread's local variable", verb(access));
    if (address < 4096) finish("fault", "%s through a null pointer (address %zu)", verb(access), (size_t)address);
    if (address >= image_begin && address < image_end) finish("fault", "%s of a constant", verb(access));
    finish("fault", "wild %s of %zu bytes: the address 0x%zx belongs to no buffer", verb(access), bytes, address);
}

bool within(uintptr_t address, size_t bytes, uintptr_t begin, size_t size) {
    return address - begin < size && bytes <= size - (address - begin);
}

// A thread's own variables lie above the frame of the function that called the runner. Between frames are return
// addresses and frame pointers (candidates are compiled with them), which are no object's.
bool is_local(uintptr_t address, size_t bytes, const uintptr_t* frame) {
    const uintptr_t stack = machine.current->stack, end = stack + kStackSize;
    if (!within(address, bytes, (uintptr_t)(frame + 2), end - (uintptr_t)(frame + 2))) return false;
    for (uintptr_t link = frame[0]; link > (uintptr_t)frame && link < end - 16; link = *(uintptr_t*)link) {
        if (address + bytes <= link) return true;
        if (address < link + 16 || *(uintptr_t*)link <= link) return false;
    }
    return false;
}

__attribute__((noinline)) void check_elsewhere(uintptr_t address, size_t bytes, Access access) {
    if (within(address, bytes, machine.current->stack, kStackSize)) {
        if (!is_local(address, bytes, (uintptr_t*)__builtin_frame_address(0)))
            finish("fault", "%s of %zu bytes outside the local variables", verb(access), bytes);
    } else if (!is_shared(address, bytes, access)) {
        if (!is_read(access) || !within(address, bytes, image_begin, image_end - image_begin))
            report_elsewhere(address, bytes, access);
    }
}

// Every sample of a rehearsal finds all memory as it was: a page gets its contents when it is first accessed. Inputs
// that are zero need none; for them the large pages of the system are counted.
void touch(size_t offset, size_t bytes, bool input) {
    const size_t page = machine.zero_filled && input ? kLargePage : kPage;
    for (size_t at = offset / page * page; at < offset + bytes; at += page) {
        uint16_t& last = touched_by[at / kPage];
        if (last == sample_number) continue;
        if (++touched_pages > kMaxTouched) end_sample();
        if (page == kPage && (last || !machine.zero_filled)) poison((void*)(arena_begin + at), kPage);
        last = sample_number;
    }
}

inline void check_contents(const Buffer& buffer, size_t at, size_t bytes, Access access) {
    if (!note_access(buffer.written + at, bytes, access, 1))
        finish("fault", "%s of %zu bytes at byte %zu of %s, which nobody has written", verb(access), bytes, at,
               buffer.name);
    check_global(buffer, at, bytes, access);
}

// What a kernel stores through another pointer, a restricted one need not see: the compiler may read it before, or
// through the read-only cache.
__attribute__((noinline)) void check_view(Buffer& view, size_t at, size_t bytes, Access access) {
    if (!is_read(access)) view.stored_in = machine.launch_begin + 1;
    else if (view.stored_in <= machine.launch_begin) check_read_only(*view.real, at, bytes);
    check_contents(*view.real, at, bytes, access);
}

inline void check(void* pointer, size_t bytes, Access access) {
    if (!machine.current) return;
    spend();
    const uintptr_t address = (uintptr_t)pointer;
    const size_t offset = address - arena_begin;
    if (offset >= arena_bytes) return check_elsewhere(address, bytes, access);
    const unsigned index = buffer_of_slot[offset >> slot_shift];
    if (!index) report_arena(address, bytes, access);
    const Buffer& buffer = all_buffers[index - 1];
    if (!within(address, bytes, buffer.address, buffer.bytes) ||
        (!is_read(access) && buffer.role == Role::kInput))
        report_arena(address, bytes, access);
    if (!buffer.written) {
        if (machine.rehearsing) touch(offset, bytes, buffer.role == Role::kInput);
        else if (buffer.role == Role::kView) check_view(all_buffers[index - 1], address - buffer.address, bytes, access);
        return;
    }
    check_contents(buffer, address - buffer.address, bytes, access);
}

void check_atomic(void* address, int bytes, Access access) {
    if ((uintptr_t)address % (unsigned)bytes) finish("fault", "misaligned atomic update");
    if (machine.rehearsing) need_whole_block();
    check(address, (size_t)bytes, access);
}

void check_range(const void* pointer, size_t bytes, Access access) {
    machine.steps += bytes / 16;  // a structure is as much work as its parts
    if (bytes) check((void*)pointer, bytes, access);
}

}  // namespace

namespace {

// Maps the memory of the buffer that `view` shows once more, at the view's address.
void show_again(const Buffer& view) {
    const uintptr_t offset = view.address % kPage, real = view.real->address - offset;
    const size_t bytes = offset + view.bytes;
    bool first = true;
    for (const Buffer* other = all_buffers; other < &view; other++) first = first && other->real != view.real;
    const int shared = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if ((first && mmap((void*)real, bytes, PROT_READ | PROT_WRITE, shared, -1, 0) == MAP_FAILED) ||
        mremap((void*)real, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, view.address - offset) == MAP_FAILED)
        finish("unsupported", "a buffer could not be mapped twice");
}

}  // namespace

// Every buffer starts in a slot of its own, with empty slots around it: an overrun meets nothing. How many there are,
// and where in its slot a buffer begins, a kernel must not rely on. In a rehearsal they are as many as an index of 32
// bits can reach.
void map_buffers(Buffer* buffers, unsigned count) {
    all_buffers = buffers;
    buffer_count = count;
    slot_shift = machine.rehearsing ? 26 : 16;
    const size_t slot = (size_t)1 << slot_shift, least = machine.rehearsing ? 256 : 1;
    arena_begin = kArenaBase + (next_random() % 4096 << 24);
    arena_bytes = least * slot;
    size_t states = 0;
    for (unsigned i = 0; i < count; i++) {
        const size_t shift = buffers[i].real ? buffers[i].real->address % slot : next_random() % 16 * 256,
                      empty = least + next_random() % 3;
        const size_t slots = (shift + buffers[i].bytes + slot - 1) / slot;
        buffers[i].address = arena_begin + arena_bytes + shift;
        if ((arena_bytes >> slot_shift) + slots + empty > kMaxSlots)
            finish("unsupported", "the buffers take more than %zu GiB", kMaxSlots * slot >> 30);
        memset(buffer_of_slot + (arena_bytes >> slot_shift), (int)i + 1, slots);
        arena_bytes += (slots + empty) * slot;
        if (buffers[i].role != Role::kInput && !buffers[i].real) states += buffers[i].bytes;
    }
    if (machine.rehearsing) states = arena_bytes / kPage * sizeof *touched_by;
    const auto map = [](uintptr_t address, size_t bytes, int fixed) {
        return mmap((void*)address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed,
                    -1, 0);
    };
    auto next = (uint8_t*)map(0, states + 1, 0);
    if (map(arena_begin, arena_bytes, MAP_FIXED_NOREPLACE) != (void*)arena_begin || next == MAP_FAILED)
        finish("unsupported", "the buffers (%zu MiB) do not fit into the memory limit", arena_bytes >> 20);
    touched_by = (uint16_t*)next;
    for (unsigned i = 0; i < count; i++)
        if (buffers[i].real) show_again(buffers[i]);
    for (unsigned i = 0; i < count && machine.zero_filled; i++)  // large pages of zeros cost one fault each
        if (buffers[i].role == Role::kInput)
            madvise((void*)(buffers[i].address / kPage * kPage), buffers[i].bytes, MADV_HUGEPAGE);
    for (unsigned i = 0; i < count && !machine.rehearsing; i++) {
        if (buffers[i].role == Role::kInput || buffers[i].real) continue;
        poison((void*)buffers[i].address, buffers[i].bytes);
        buffers[i].written = next;
        next += buffers[i].bytes;
    }
}

void refuse_holes() {
    machine.launch = nullptr;  // it is no one launch's fault
    for (unsigned i = 0; i < buffer_count; i++) {
        const Buffer& buffer = all_buffers[i];
        const void* hole = buffer.role == Role::kOutput ? memchr(buffer.written, 0, buffer.bytes) : nullptr;
        if (hole) finish("wrong", "nobody has written byte %zu of %s, which has %zu bytes",
                         (size_t)((uint8_t*)hole - buffer.written), buffer.name, buffer.bytes);
    }
}

bool lies_in_a_buffer(uintptr_t address) { return address - arena_begin < arena_bytes; }

void set_image(uintptr_t begin, uintptr_t end) {
    image_begin = begin;
    image_end = end;
}

extern "C" {
#define SIMT_ACCESS(bytes)                                                                 \
    void __tsan_read##bytes(void* p) { check(p, bytes, Access::kRead); }                   \
    void __tsan_write##bytes(void* p) { check(p, bytes, Access::kWrite); }                 \
    void __tsan_unaligned_read##bytes(void* p) { check(p, bytes, Access::kRead); }         \
    void __tsan_unaligned_write##bytes(void* p) { check(p, bytes, Access::kWrite); }       \
    void __tsan_volatile_read##bytes(void* p) { check(p, bytes, Access::kVolatileRead); }   \
    void __tsan_volatile_write##bytes(void* p) { check(p, bytes, Access::kVolatileWrite); } \
    void __tsan_read_write##bytes(void* p) { __tsan_read##bytes(p), __tsan_write##bytes(p); } \
    void __tsan_unaligned_read_write##bytes(void* p) { __tsan_read_write##bytes(p); }
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

void simt_atomic(void* address, int bytes) { check_atomic(address, bytes, Access::kAtomic); }
void simt_exchange(void* address, int bytes) { check_atomic(address, bytes, Access::kExchange); }
// Before a load that goes through the read-only cache (__ldg).
void simt_read_only(const void* address, int bytes) {
    const size_t offset = (uintptr_t)address - arena_begin;
    if (offset >= arena_bytes || !buffer_of_slot[offset >> slot_shift]) return;
    const Buffer& buffer = all_buffers[buffer_of_slot[offset >> slot_shift] - 1];
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
