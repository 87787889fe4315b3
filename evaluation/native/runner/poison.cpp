// What memory holds that nobody has written: another value in every run, at every place and in every byte.
#include "poison.h"

#include <cstring>

namespace simt {

namespace {

constexpr size_t kWords = kPoisonPart / 4;
uint32_t words[2 * kWords];  // twice the same, so that a copy may begin anywhere in the first half
uint64_t random_state;
size_t phase;

// NaN, or a large number of either sign, in every floating-point type, so that neither a sum nor a maximum nor a
// minimum swallows all of them; and large as an integer.
uint32_t poison_word(uint64_t random, Fill fill) {
    if (fill == Fill::kZeros) return 0;
    if (fill == Fill::kUsual) return 0x3f000000 | (random >> 8 & 0x7fffff);
    if (fill == Fill::kWild) return (uint32_t)random;
    constexpr uint32_t kTops[3] = {0xffffffff, 0x7b007b00, 0xfb00fb00};
    return kTops[random % 3] | (random >> 8 & 0x00ff00ff);
}

}  // namespace

// SplitMix64.
uint64_t next_random() {
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void seed_poison(uint64_t seed, Fill fill) {
    random_state = seed;
    for (size_t i = 0; i < kWords; i++) words[i] = poison_word(next_random(), fill);
    memcpy(words + kWords, words, sizeof words / 2);
}

const void* poison_part() { return words + (phase = (phase + 37) % kWords); }

void poison(void* memory, size_t bytes) {
    for (auto to = (char*)memory; bytes;) {
        const size_t part = bytes < kPoisonPart ? bytes : kPoisonPart;
        memcpy(to, poison_part(), part);
        to += part;
        bytes -= part;
    }
}

uint64_t undefined_register() {
    uint64_t value;
    poison(&value, sizeof value);
    return value;
}

}  // namespace simt
