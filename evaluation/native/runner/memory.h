// The memory that a kernel may touch, and the check of every access.
#pragma once
#include "machine.h"

namespace simt {

struct Cell;

enum class Role { kInput, kOutput, kScratch };

struct Buffer {
    char name[72];
    Role role;
    uintptr_t address;
    size_t bytes;
    bool is_bool;        // holds values of type bool
    Cell* cells;         // what the race check remembers of each 4 bytes
    size_t raced_bytes;  // how many bytes, from the first on, it remembers; 0 for inputs
};

constexpr unsigned kMaxBuffers = 255;

void map_buffers(Buffer* buffers, unsigned count);  // assigns addresses; poisons all but the inputs
void set_image(uintptr_t begin, uintptr_t end, uintptr_t writable);

enum class Access : uint8_t { kRead, kVolatileRead, kWrite, kVolatileWrite, kAtomic };
inline bool is_read(Access access) { return access <= Access::kVolatileRead; }

// race.cpp
void map_race_cells(Buffer* buffers, unsigned count);  // takes what memory is left, so it comes last
void check_shared(uintptr_t address, size_t bytes, Access access);
void check_global(const Buffer& buffer, size_t offset, size_t bytes, Access access);
void check_read_only(const Buffer& buffer, size_t offset, size_t bytes);  // as a cache that no write updates reads it
void settle_writes();  // the current thread's stores that were announced are done

}  // namespace simt
