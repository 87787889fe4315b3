#include "rehearsal.h"

#include "fiber.h"

namespace simt {

uint16_t sample_number;

namespace {

constexpr uint64_t kStepsOfSample = 150'000, kStepsInAll = 400'000;
constexpr unsigned kBlocks = 9;

void* sample_end[5];
bool whole_block;  // or single threads, which cost less
bool block_needed;

bool chosen(const Thread& thread) {
    const Extent extent = machine.launch->block, at = thread.index;
    const unsigned last = machine.block.threads - 1;
    const bool corner = (at.x == 0 || at.x == extent.x - 1) && (at.y == 0 || at.y == extent.y - 1) && at.z == 0;
    return whole_block || corner || thread.rank == last || thread.rank == last / 2;
}

// Whether the sample came to its end.
bool sample(const Launch& launch, uint64_t block) {
    machine.budget = machine.steps + kStepsOfSample;
    block_needed = false;
    sample_number++;
    if (__builtin_setjmp(sample_end)) {
        machine.current = nullptr;
        free_all_stacks();
        return false;
    }
    run_sample(launch, block, chosen);
    return true;
}

// The first and the last block, the corners of the grid, and some between.
void blocks_of(Extent grid, uint64_t (&blocks)[kBlocks]) {
    const uint64_t plane = (uint64_t)grid.x * grid.y, all = plane * grid.z;
    const uint64_t chosen[kBlocks] = {all - 1,      0,           all / 2,     grid.x - 1, plane - grid.x,
                                      all / 4 * 3, all / 8 * 5, all / 7 * 2, all / 3};
    for (unsigned i = 0; i < kBlocks; i++) blocks[i] = chosen[i];
}

bool came_before(const uint64_t* blocks, unsigned i) {
    for (unsigned j = 0; j < i; j++)
        if (blocks[j] == blocks[i]) return true;
    return false;
}

}  // namespace

void end_sample() { __builtin_longjmp(sample_end, 1); }

void need_whole_block() {
    if (whole_block) return;
    block_needed = true;
    end_sample();
}

void rehearse(const Launch* launches, unsigned count) {
    bool complete = true;
    for (unsigned i = 0; i < count; i++) {
        uint64_t blocks[kBlocks];
        blocks_of(launches[i].grid, blocks);
        whole_block = false;
        for (unsigned j = 0; j < kBlocks; j++) {
            if (came_before(blocks, j)) continue;
            bool done = machine.steps < kStepsInAll && sample(launches[i], blocks[j]);
            if (block_needed) {
                whole_block = true;
                done = sample(launches[i], blocks[j]);
            }
            complete &= done;
        }
    }
    machine.launch = nullptr;
    if (complete && !touched_pages) finish("wrong", "at these sizes the kernels neither read nor write anything");
}

}  // namespace simt
