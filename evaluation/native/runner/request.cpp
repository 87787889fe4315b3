// The request is lines of words:
//   run OBJECT DATA BUDGET MOST SECONDS MEMORY_MB FILL SEED ascending|descending|shuffled STOP
//   buffer NAME input|output|scratch BYTES OFFSET
//   launch KERNEL GX GY GZ BX BY BZ SHARED COUNT ARGUMENT...     an argument is b<index>, i<integer> or f<hex float>;
//                                         r<index> for a buffer's view: other arguments give the buffer, too
#include "request.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace simt {

namespace {

bool parse_run(const char* line, Request& request) {
    char order[16];
    unsigned fill;
    if (sscanf(line, "run %511s %511s %llu %llu %lf %llu %u %llu %15s %u", request.object, request.data, &request.budget,
               &request.most, &request.seconds, &request.memory_mb, &fill, &request.seed, order, &request.stop) != 10)
        return false;
    request.fill = (Fill)fill;
    request.order = order[0] == 'a' ? Order::kAscending : order[0] == 'd' ? Order::kDescending : Order::kShuffled;
    return true;
}

bool parse_buffer(const char* line, Request& request) {
    if (request.buffer_count == kMaxBuffers) return false;
    Buffer& buffer = request.buffers[request.buffer_count];
    char role[16];
    if (sscanf(line, "buffer %71s %15s %zu %zu", buffer.name, role, &buffer.bytes,
               &request.offsets[request.buffer_count]) != 4)
        return false;
    buffer.role = role[0] == 'i' ? Role::kInput : role[0] == 'o' ? Role::kOutput : Role::kScratch;
    request.buffer_count++;
    return true;
}

// Makes the argument a view of its buffer, if there is room for one more and it is not a rehearsal.
bool add_view(Request& request, Argument& argument) {
    if (argument.integer < 0 || argument.integer >= request.buffer_count) return false;
    argument.kind = 'b';
    if (request.buffer_count == kMaxBuffers || request.fill != Fill::kPoison) return true;
    const Buffer& real = request.buffers[argument.integer];
    Buffer& view = request.buffers[request.buffer_count];
    view = real;
    view.role = Role::kView;
    view.real = &real;
    argument.integer = request.buffer_count++;
    return true;
}

bool parse_argument(const char* word, Request& request, Argument& argument) {
    argument.kind = word[0];
    argument.integer = word[0] == 'f' ? 0 : strtoll(word + 1, nullptr, 10);
    argument.floating = word[0] == 'f' ? strtod(word + 1, nullptr) : (double)argument.integer;
    if (word[0] == 'r') return add_view(request, argument);
    return word[0] != 'b' || (argument.integer >= 0 && argument.integer < request.buffer_count);
}

bool parse_launch(const char* line, Request& request) {
    if (request.launch_count == kMaxLaunches) return false;
    RequestedLaunch& launch = request.launches[request.launch_count];
    int used = 0;
    if (sscanf(line, "launch %71s %u %u %u %u %u %u %zu %u%n", launch.kernel, &launch.grid.x, &launch.grid.y,
               &launch.grid.z, &launch.block.x, &launch.block.y, &launch.block.z, &launch.shared_bytes,
               &launch.argument_count, &used) != 9 ||
        launch.argument_count > kMaxArguments)
        return false;
    const char* rest = line + used;
    for (unsigned i = 0; i < launch.argument_count; i++) {
        char word[64];
        if (sscanf(rest, " %63s%n", word, &used) != 1 || !parse_argument(word, request, launch.arguments[i]))
            return false;
        rest += used;
    }
    request.launch_count++;
    return true;
}

bool parse_line(const char* line, Request& request) {
    if (!strncmp(line, "buffer ", 7)) return parse_buffer(line, request);
    if (!strncmp(line, "launch ", 7)) return parse_launch(line, request);
    return parse_run(line, request);
}

}  // namespace

bool parse_request(const char* text, Request& request) {
    request.buffer_count = request.launch_count = 0;
    while (*text) {
        if (!parse_line(text, request)) return false;
        text = strchr(text, '\n');
        if (!text) return false;
        text++;
    }
    return request.launch_count > 0;
}

}  // namespace simt
