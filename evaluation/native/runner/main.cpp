// The runner: a server that forks one process for each run of a candidate.
//
// The server itself never executes a candidate's code; it starts under the confinement launcher. Requests come on
// standard input, closed by a line `end`; each answer is a line `WAIT_STATUS BYTES CPU_SECONDS` and the child's report:
//   STATUS \t KERNEL \t BX BY BZ \t TX TY TZ \t STEPS \t MESSAGE          (indices -1 where unknown)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fiber.h"
#include "launch.h"
#include "loader.h"
#include "lockdown.h"
#include "order.h"
#include "poison.h"
#include "rehearsal.h"

namespace simt {

void finish(const char* status, const char* format, ...) {
    char message[512], report[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const Thread* thread = machine.current;
    const Extent block = machine.block.index, index = thread ? thread->index : Extent{~0u, ~0u, ~0u};
    const int length = snprintf(report, sizeof report, "%s\t%s\t%d %d %d\t%d %d %d\t%llu\t%s", status,
                                machine.launch ? machine.launch->kernel : "", (int)block.x, (int)block.y, (int)block.z,
                                (int)index.x, (int)index.y, (int)index.z, (unsigned long long)machine.steps, message);
    const ssize_t written = write(kReportFile, report, (size_t)length);
    syscall(SYS_exit_group, written == length ? 0 : 1);
    __builtin_unreachable();
}

namespace {

Request request;

uint8_t* map_data() {
    const int file = open(request.data, O_RDWR);
    struct stat status;
    if (file < 0 || fstat(file, &status)) finish("unsupported", "the runner could not open the buffers' file");
    void* data = mmap(nullptr, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (data == MAP_FAILED) finish("unsupported", "the buffers do not fit into the memory limit");
    return (uint8_t*)data;
}

unsigned most_stacks() {
    unsigned most = 1;
    for (unsigned i = 0; i < request.launch_count; i++) {
        const Extent block = request.launches[i].block;
        const unsigned stacks = block.x * block.y * block.z * kMaxResidents;
        if (stacks > most) most = stacks;
    }
    return most < kMaxStacks ? most : kMaxStacks;
}

// A memory-mapped input is copied, so that nothing the kernel does to it reaches the file.
[[noreturn]] void execute() {
    limit_time(request.seconds);
    machine.rehearsing = request.fill != Fill::kPoison;
    machine.zero_filled = request.fill == Fill::kZeros;
    if (!machine.rehearsing) limit_memory(request.memory_mb);
    machine.patience = request.budget;
    machine.most = request.most;
    seed_poison(request.seed, request.fill);
    machine.order = request.order;
    machine.stop = request.stop;
    uint8_t* data = machine.rehearsing ? nullptr : map_data();
    map_buffers(request.buffers, request.buffer_count);
    for (unsigned i = 0; i < request.buffer_count; i++)
        if (data && request.buffers[i].role == Role::kInput)
            memcpy((void*)request.buffers[i].address, data + request.offsets[i], request.buffers[i].bytes);
    load_object(request.object);
    machine.optimized = find_symbol("simt_optimized");
    static Launch launches[kMaxLaunches];
    for (unsigned i = 0; i < request.launch_count; i++) prepare_launch(request.launches[i], request, launches[i]);
    map_stacks(most_stacks());
    map_clocks();
    map_race_cells(request.buffers, request.buffer_count);
    catch_signals();
    lock_down();
    if (machine.rehearsing) {
        rehearse(launches, request.launch_count);
        finish("ok", "%s", "");
    }
    for (unsigned i = 0; i < request.launch_count; i++) run_launch(launches[i]);
    refuse_holes();
    for (unsigned i = 0; i < request.buffer_count; i++)
        if (request.buffers[i].role == Role::kOutput)
            memcpy(data + request.offsets[i], (void*)request.buffers[i].address, request.buffers[i].bytes);
    finish(machine.contended ? "ok_contended" : "ok", "%s", "");
}

[[noreturn]] void run_child(const std::string& text, int report) {
    if (report != kReportFile) dup2(report, kReportFile);
    close(0);
    close(1);
    if (!parse_request(text.c_str(), request)) finish("unsupported", "the runner did not understand the request");
    execute();
}

std::string read_all(int file) {
    std::string text;
    char part[2048];
    for (ssize_t count; (count = read(file, part, sizeof part)) > 0 && text.size() < 8192;)
        text.append(part, (size_t)count);
    return text;
}

double seconds_of(const struct timeval& time) { return (double)time.tv_sec + (double)time.tv_usec * 1e-6; }

void serve(const std::string& text) {
    int report[2];
    if (pipe(report)) exit(1);
    const pid_t self = getpid(), child = fork();
    if (child < 0) exit(1);
    if (child == 0) {
        die_with(self);
        run_child(text, report[1]);
    }
    close(report[1]);
    const std::string answer = read_all(report[0]);
    close(report[0]);
    int status = 0;
    struct rusage used = {};
    wait4(child, &status, 0, &used);
    printf("%d %zu %.3f\n", status, answer.size(), seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
    fwrite(answer.data(), 1, answer.size(), stdout);
    fflush(stdout);
}

}  // namespace

}  // namespace simt

int main() {
    std::string text;
    char* line = nullptr;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        if (strcmp(line, "end\n")) {
            text += line;
            continue;
        }
        simt::serve(text);
        text.clear();
    }
    return 0;
}
