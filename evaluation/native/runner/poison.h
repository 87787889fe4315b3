// What memory and registers hold that nobody has written.
#pragma once
#include "machine.h"

namespace simt {

enum class Fill { kPoison, kZeros, kUsual, kWild };  // kUsual: floats from 1/2 to 1; kWild: any bits
void seed_poison(uint64_t seed, Fill fill);
constexpr size_t kPoisonPart = 8192;
const void* poison_part();  // so many bytes, others each time
void poison(void* memory, size_t bytes);
uint64_t undefined_register();
uint64_t next_random();

}  // namespace simt
