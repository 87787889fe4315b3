// The memory that a kernel may touch, and the check of every access.
#pragma once
#include "machine.h"

namespace simt {

struct Word;

enum class Role { kInput, kOutput, kScratch };

struct Buffer {
    char name[72];
    Role role;
    uintptr_t address;
    size_t bytes;
    Word* words;  // what the race check remembers of each 4 bytes; null for inputs
};

constexpr unsigned kMaxBuffers = 255;

void map_buffers(Buffer* buffers, unsigned count);  // assigns addresses; poisons all but the inputs
void set_image(uintptr_t begin, uintptr_t end, uintptr_t writable);

enum class Access { kRead, kWrite, kAtomic };

// race.cpp
void map_race_words(Buffer* buffers, unsigned count);
void check_shared(uintptr_t address, size_t bytes, Access access);
void check_global(const Buffer& buffer, size_t offset, size_t bytes, Access access);

}  // namespace simt
