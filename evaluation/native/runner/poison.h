// What memory and registers hold that nobody has written.
#pragma once
#include "machine.h"

namespace simt {

void seed_poison(uint64_t seed);
constexpr size_t kPoisonPart = 8192;
const void* poison_part();  // so many bytes, others each time
void poison(void* memory, size_t bytes);
uint64_t undefined_register();
uint64_t next_random();

}  // namespace simt
