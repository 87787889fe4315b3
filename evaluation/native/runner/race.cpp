// Data races: two threads touch the same bytes, one of them writes, and nothing orders the two (order.h).
//
// What is no race: atomics among themselves and with volatile accesses; volatile flags, between warps, though a look at
// one may come too early (late.h); and two stores of the same value, which many correct kernels do. A plain load beside
// atomics begins the compare-and-swap loop of CUDA's guide and `if (v <= *a) return; atomicMax(a, v);`: it may see an
// old value, and the atomic has the last word. It is a race only where its value is used at once, by a store or by an
// atomic elsewhere, with no branch between.
//
// A cell remembers the last write and two reads of a word of 4 bytes, or of a byte where a word is not accessed whole.
// A third reader may be forgotten, so a race may be missed; but what is reported is a race.
#include <sys/mman.h>

#include <cstring>
#include <initializer_list>

#include "late.h"
#include "memory.h"
#include "order.h"

namespace simt {

struct Cell {
    Moment write, reads[2];
    Access write_access, read_accesses[2];
    uint8_t used;    // a bit for each read whose value went straight into a store
    uint32_t parts;  // of a word whose bytes have cells of their own: their index; else 0
};

static_assert(sizeof(Cell) == 32, "one is met at every access");

namespace {

// Of outputs and scratch; a candidate may have 64 MiB of scratch. What lies beyond is not checked.
constexpr size_t kMaxRaceBytes = 72u << 20;
constexpr size_t kSharedWords = kSharedRoom / 4;
constexpr size_t kMaxParts = 1u << 20;

// First the shared variables, then the dynamic shared memory, of each block in flight.
Cell shared_cells[kMaxResidents][kSharedWords + kMaxShared / 4];
Cell* parts;                          // of words, four each; the first are not used
size_t part_count = 4;

struct Place {
    const char* name;  // null for shared memory
    size_t offset;
    uintptr_t address;
    size_t bytes;
};

// A store after an unordered one is a race if it changes the memory, which is seen only when it is done.
struct Unsettled {
    Place place;
    Moment earlier;
    uint8_t before[4];
};
Unsettled unsettled[4];
unsigned unsettled_count;

// The last plain load of the current thread, for the rule about values that are used at once.
struct {
    Cell* cell;
    unsigned slot;
    uint64_t step;
    Place place;
    Moment raced;  // the atomic that it may or may not have seen; time 0 for none
} last_load;

bool is_plain(Access access) { return access == Access::kRead || access == Access::kWrite; }

[[noreturn]] void report(const Place& place, const Moment& earlier, const char* first, const char* second) {
    const uint32_t own = machine.current->id;
    if (!same_block(earlier.thread, own))
        finish("fault", "race across blocks at byte %zu of %s: this block %s what another block %s in the same launch, "
               "and no fence and atomic order the two", place.offset, place.name, second, first);
    finish("fault", "race at byte %zu of %s: thread %u %s it and thread %u %s it, with no barrier between",
           place.offset, place.name ? place.name : "shared memory", earlier.thread % (1u << kRankBits), first,
           machine.current->rank, second);
}

// Of two accesses, neither plain: flags and those who wait for them. Lanes of one warp do not wait for each other.
bool may_meet(Access a, Access b, const Moment& earlier) {
    machine.contended = true;
    return is_atomic(a) || is_atomic(b) || !same_warp(earlier.thread, machine.current->id);
}

void settle_later(const Moment& earlier, const Place& place) {
    if (unsettled_count == sizeof unsettled / sizeof *unsettled) return;
    Unsettled& one = unsettled[unsettled_count++];
    one = {place, earlier, {}};
    memcpy(one.before, (void*)place.address, place.bytes);
    machine.alarm = machine.steps;
}

// Whether the thread saw the last write with a volatile load: it waited for its turn.
bool saw_write(const Cell& cell) {
    const Thread& thread = *machine.current;
    return thread.looked_at == &cell && thread.saw.time == cell.write.time && thread.saw.thread == cell.write.thread;
}

void meet_write(const Cell& cell, const Place& place, Access access) {
    if (ordered(cell.write)) return;
    const bool either_atomic = is_atomic(cell.write_access) || is_atomic(access);
    if (!is_read(access) && !either_atomic) {
        if (!saw_write(cell)) settle_later(cell.write, place);
        return;
    }
    if (!is_plain(access) && !is_plain(cell.write_access) && may_meet(cell.write_access, access, cell.write)) return;
    if (access == Access::kRead && either_atomic) {
        last_load.raced = cell.write;
        return;
    }
    report(place, cell.write, "writes", is_read(access) ? "reads" : "writes");
}

void meet_read(const Cell& cell, unsigned slot, const Place& place, Access access) {
    if (read_before(cell.reads[slot])) return;
    const Access earlier = cell.read_accesses[slot];
    if (!is_plain(access) && !is_plain(earlier) && may_meet(earlier, access, cell.reads[slot])) return;
    if (is_atomic(access) && !(cell.used >> slot & 1)) return;
    report(place, cell.reads[slot], "reads", "writes");
}

// Where to remember a read: in place of one that is ordered before it; or beside one of another warp.
int slot_for(const Cell& cell, uint32_t since) {
    const uint32_t own = machine.current->id;
    for (int slot = 0; slot < 2; slot++)
        if (cell.reads[slot].time <= since || cell.reads[slot].thread == own) return slot;
    const bool just_now = cell.reads[0].time == machine.now && cell.reads[1].time == machine.now;
    for (int slot = 0; slot < 2 && !just_now; slot++)
        if (ordered(cell.reads[slot])) return slot;
    return same_warp(cell.reads[0].thread, cell.reads[1].thread) && !same_warp(cell.reads[0].thread, own) ? 1 : -1;
}

// Accesses up to the time `since` are ordered for all who can reach the cell.
inline void check_cell(Cell& cell, const Place& place, Access access, uint32_t since) {
    const Moment now = {machine.now, machine.current->id};
    if (cell.write.time > since && cell.write.thread != now.thread) meet_write(cell, place, access);
    if (!is_read(access)) {
        for (unsigned slot = 0; slot < 2; slot++)
            if (cell.reads[slot].time > since && cell.reads[slot].thread != now.thread)
                meet_read(cell, slot, place, access);
        cell.write = now;
        cell.write_access = access;
        return;
    }
    if (access == Access::kVolatileRead) machine.current->looked_at = &cell, machine.current->saw = cell.write;
    const int slot = slot_for(cell, since);
    if (slot < 0) return;
    cell.reads[slot] = now;
    cell.read_accesses[slot] = access;
    cell.used &= (uint8_t)~(1u << slot);
    last_load.cell = &cell;
    last_load.slot = (unsigned)slot;
}

// The cells of the bytes of a word; null if there is no room for more.
Cell* parts_of(Cell& word) {
    if (!word.parts) {
        if (part_count == kMaxParts) return nullptr;
        for (unsigned i = 0; i < 4; i++) parts[part_count + i] = word;
        word.parts = (uint32_t)part_count;
        part_count += 4;
    }
    return parts + word.parts;
}

void check_parts(Cell& word, const Place& place, unsigned first, Access access, uint32_t since) {
    Cell* cells = parts_of(word);
    for (unsigned i = 0; cells && i < place.bytes; i++)
        check_cell(cells[first + i], {place.name, place.offset + i, place.address + i, 1}, access, since);
}

// A plain load right before this access, if its value can only have gone into it.
void use_last_load(uintptr_t address) {
    if (last_load.step + 1 != machine.steps || last_load.place.address == address) return;
    if (last_load.raced.time) report(last_load.place, last_load.raced, "updates", "reads");
    if (last_load.cell && last_load.cell->reads[last_load.slot].thread == machine.current->id)
        last_load.cell->used |= (uint8_t)(1u << last_load.slot);
}

void check_pieces(Cell* cells, Place whole, Access access, uint32_t since) {
    for (size_t done = 0; done < whole.bytes;) {
        const size_t at = whole.offset + done, first = at % 4, left = whole.bytes - done;
        const Place place = {whole.name, at, whole.address + done, 4 - first < left ? 4 - first : left};
        Cell& word = cells[at / 4];
        if (place.bytes == 4 && !word.parts) check_cell(word, place, access, since);
        else check_parts(word, place, (unsigned)first, access, since);
        done += place.bytes;
    }
}

inline void check_words(Cell* cells, const Place& place, Access access, uint32_t since) {
    if (is_read(access)) last_load.cell = nullptr, last_load.raced.time = 0;
    else use_last_load(place.address);
    Cell& word = cells[place.offset / 4];
    if (place.bytes == 4 && place.offset % 4 == 0 && !word.parts) check_cell(word, place, access, since);
    else check_pieces(cells, place, access, since);
    if (access == Access::kRead) last_load.step = machine.steps, last_load.place = place;
}

size_t words_of(const Buffer& buffer) { return (buffer.bytes + 3) / 4; }

Cell* map_cells(size_t count) {
    void* area = mmap(nullptr, count * sizeof(Cell), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return area == MAP_FAILED ? nullptr : (Cell*)area;
}

// Atomics and volatile accesses are how threads wait for each other.
void synchronise(uintptr_t address, Access access, bool shared) {
    before_synchronisation(shared);
    if (access != Access::kVolatileWrite) acquire(address, shared);
    if (access != Access::kVolatileRead) release(address, shared, is_atomic(access));
}

const Cell& cell_at(const Buffer& buffer, size_t at) {
    const Cell& word = buffer.cells[at / 4];
    return word.parts ? parts[word.parts + at % 4] : word;
}

// A volatile read that may miss a store: where nobody had written before, it may read what is no value at all.
void look_late(const Place& place) {
    const LateStore* store = missed_store(place.address, place.bytes);
    if (!store) return;
    if (store->first) report(place, store->moment, "writes", "reads");
    if (machine.order == Order::kAscending || (machine.order == Order::kShuffled && random_below(2))) return;
    show_before(*store);
    machine.current->looked_at = nullptr;
}

}  // namespace

// Outputs come first: they are the smaller, and a candidate chooses only the size of its scratch.
void map_race_cells(Buffer* buffers, unsigned count) {
    size_t left = 0;
    for (unsigned i = 0; i < count; i++)
        if (buffers[i].role == Role::kOutput || buffers[i].role == Role::kScratch) left += words_of(buffers[i]);
    if (left > kMaxRaceBytes / 4) left = kMaxRaceBytes / 4;
    parts = map_cells(kMaxParts);
    if (!parts) finish("unsupported", "the race check does not fit into the memory limit");
    Cell* next = nullptr;
    while (left && !(next = map_cells(left))) left /= 2;  // as many as the memory limit allows
    for (Role role : {Role::kOutput, Role::kScratch}) {
        for (unsigned i = 0; i < count; i++) {
            if (buffers[i].role != role) continue;
            const size_t words = words_of(buffers[i]) < left ? words_of(buffers[i]) : left;
            buffers[i].cells = next;
            buffers[i].raced_bytes = words * 4;
            next += words;
            left -= words;
        }
    }
}

void check_shared(uintptr_t address, size_t bytes, Access access) {
    const bool dynamic = address - kDynamicShared < kMaxShared;
    const size_t offset = address - (dynamic ? kDynamicShared : (uintptr_t)static_shared);
    if (!is_plain(access)) synchronise(address, access, true);
    check_words(shared_cells[machine.resident] + (dynamic ? kSharedWords : 0), {nullptr, offset, address, bytes},
                access, machine.block.barrier);
}

void check_global(const Buffer& buffer, size_t offset, size_t bytes, Access access) {
    const Place place = {buffer.name, offset, buffer.address + offset, bytes};
    if (!is_plain(access)) synchronise(place.address, access, false);
    if (offset + bytes > buffer.raced_bytes) return;
    if (!is_plain(access) && !is_read(access))
        note_store(place.address, bytes, !cell_at(buffer, offset).write.time);
    check_words(buffer.cells, place, access, machine.launch_begin);
    if (access == Access::kVolatileRead) look_late(place);
}

void check_read_only(const Buffer& buffer, size_t offset, size_t bytes) {
    for (size_t at = offset; at < offset + bytes && at < buffer.raced_bytes; at++) {
        if (cell_at(buffer, at).write.time > machine.launch_begin)
            finish("fault", "byte %zu of %s was written by this launch and is read through the read-only cache or a "
                   "__restrict__ pointer, which need not see that", at, buffer.name);
    }
}

void settle_writes() {
    const unsigned count = unsettled_count;
    unsettled_count = 0;
    last_load.step = 0;
    end_late_look();
    for (unsigned i = 0; i < count; i++)
        if (memcmp(unsettled[i].before, (void*)unsettled[i].place.address, unsettled[i].place.bytes))
            report(unsettled[i].place, unsettled[i].earlier, "writes", "writes another value to");
}

}  // namespace simt
