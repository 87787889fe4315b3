// One run as the parent asks for it: buffers and launches.
#pragma once
#include "memory.h"
#include "poison.h"

namespace simt {

struct Argument {
    char kind;  // 'b' buffer, 'i' integer, 'f' floating
    long long integer;
    double floating;
};

constexpr unsigned kMaxArguments = 64;
constexpr unsigned kMaxLaunches = 64;

struct RequestedLaunch {
    char kernel[72];
    Extent grid, block;
    size_t shared_bytes;
    unsigned argument_count;
    Argument arguments[kMaxArguments];
};

struct Request {
    char object[512], data[512];
    unsigned long long budget, most, memory_mb;
    Fill fill;  // kPoison for an ordinary run, else of a rehearsal
    double seconds;
    unsigned long long seed;  // of what nobody has written, of where buffers lie, and of the shuffled order
    Order order;
    unsigned stop;
    unsigned buffer_count, launch_count;
    Buffer buffers[kMaxBuffers];
    size_t offsets[kMaxBuffers];  // of each buffer in the data file
    RequestedLaunch launches[kMaxLaunches];
};

// Parses the text form that `simt_run.py` writes; false if it is malformed.
bool parse_request(const char* text, Request& request);

}  // namespace simt
