// The memory that a kernel may touch, and the check of every access.
#pragma once
#include "machine.h"

namespace simt {

struct Cell;

enum class Role { kInput, kOutput, kScratch, kView };

struct Buffer {
    char name[72];
    Role role;
    uintptr_t address;
    size_t bytes;
    uint8_t* written;    // 1 for each byte that a thread has written; null for inputs, and in a rehearsal
    Cell* cells;         // what the race check remembers of each 4 bytes
    size_t raced_bytes;  // how many bytes, from the first on, it remembers; 0 for inputs
    const Buffer* real;  // of a view: the buffer whose memory it shows at another address
    uint32_t stored_in;  // of a view: 1 more than when the last launch began that stored through it
};

constexpr unsigned kMaxBuffers = 255;

void map_buffers(Buffer* buffers, unsigned count);  // assigns addresses; poisons all but the inputs
bool lies_in_a_buffer(uintptr_t address);                  // or between two
void set_image(uintptr_t begin, uintptr_t end);             // the constants
void refuse_holes();                                        // ends the run if a byte of an output was never written

enum class Access : uint8_t { kRead, kVolatileRead, kWrite, kVolatileWrite, kAtomic, kExchange };
inline bool is_read(Access access) { return access <= Access::kVolatileRead; }
inline bool is_atomic(Access access) { return access >= Access::kAtomic; }
inline bool is_write(Access access) { return !is_read(access) && access != Access::kAtomic; }  // and no read before it
inline const char* verb(Access access) {
    return is_read(access) ? "read" : is_atomic(access) ? "atomic update" : "write";
}

// `states` holds for each byte who wrote it last. False if an access reads and none of its bytes is `writer`'s: of a
// structure or vector some parts may be padding, or not be used.
inline bool note_access(uint8_t* states, size_t bytes, Access access, uint8_t writer) {
    bool known = is_write(access) || states[0] == writer;
    for (size_t i = 1; !known && i < bytes; i++) known = states[i] == writer;
    if (!is_read(access)) __builtin_memset(states, writer, bytes);
    return known;
}

// Check as many accesses as that many bytes are.
extern "C" void __tsan_read_range(void* begin, size_t bytes);
extern "C" void __tsan_write_range(void* begin, size_t bytes);

// race.cpp
void map_race_cells(Buffer* buffers, unsigned count);  // takes what memory is left, so it comes last
void check_shared(uintptr_t address, size_t bytes, Access access);
void check_global(const Buffer& buffer, size_t offset, size_t bytes, Access access);
void check_read_only(const Buffer& buffer, size_t offset, size_t bytes);  // as a cache that no write updates reads it
void settle_writes();  // the current thread's stores that were announced are done

}  // namespace simt
