// What C++ leaves undefined and a GPU does otherwise than x86: shifts by the width or more, and floating-point numbers
// that are converted to an integer they do not fit. The compiler's checks report them here (-fsanitize).
#include "machine.h"

namespace simt {

namespace {

struct Type {
    uint16_t kind, info;  // of an integer: the lowest bit is set if it is signed, the rest is the logarithm of its bits
    char name[1];
};

struct Location {
    const char* file;
    unsigned line, column;
};

struct Shift {
    Location at;
    const Type *shifted, *count;
};

struct Conversion {
    Location at;
    const Type *from, *to;
};

}  // namespace

extern "C" {

void __ubsan_handle_shift_out_of_bounds(const Shift* shift, uintptr_t, uintptr_t count) {
    const unsigned unused = 64 - (1u << (shift->count->info >> 1));
    const auto value = shift->count->info & 1 ? (long long)(count << unused) >> unused : (long long)count;
    finish("fault", "a shift by %lld of a number of %u bits on line %u, which C++ leaves undefined", value,
           1u << (shift->shifted->info >> 1), shift->at.line);
}

void __ubsan_handle_float_cast_overflow(const Conversion* conversion, uintptr_t) {
    finish("fault", "a number that does not fit, or is none, is converted to %.40s on line %u, which C++ leaves undefined",
           conversion->to->name, conversion->at.line);
}

}  // extern "C"

}  // namespace simt
