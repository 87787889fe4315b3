// A small ELF loader for one relocatable object, in place of a linker and dlopen: it saves their time, runs no
// constructors, and hands out no address but those of the functions that device code may call.
#include "loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <initializer_list>

#include "fiber.h"
#include "memory.h"
#include "shared.h"

namespace simt {

namespace {

struct Object {
    const uint8_t* bytes;
    const Elf64_Shdr* sections;
    unsigned section_count;
    const char* section_names;
    const Elf64_Sym* symbols;
    unsigned symbol_count;
    const char* symbol_names;
    uintptr_t* addresses;  // of each section, 0 if it is not loaded
};
Object object;

constexpr unsigned kMaxSections = 4096;
uintptr_t section_addresses[kMaxSections];
uintptr_t image_position = kImageBase;

struct Library {
    const char* name;
    void* address;
};

// Wrappers, because code compiled without -fPIC reaches only the runner's own functions, which lie below 2 GiB.
#define UNARY(name)                                              \
    {#name, (void*)+[](double x) { return name(x); }},           \
    {#name "f", (void*)+[](float x) { return name##f(x); }},
#define BINARY(name)                                                      \
    {#name, (void*)+[](double x, double y) { return name(x, y); }},       \
    {#name "f", (void*)+[](float x, float y) { return name##f(x, y); }},
#define TERNARY(name)                                                                       \
    {#name, (void*)+[](double x, double y, double z) { return name(x, y, z); }},            \
    {#name "f", (void*)+[](float x, float y, float z) { return name##f(x, y, z); }},
extern "C" {
void* simt_memcpy(void*, const void*, size_t);
void* simt_memset(void*, int, size_t);
void simt_pure_virtual();
}
const Library library[] = {
#include "../shim/math_names.def"
    {"ldexp", (void*)+[](double x, int exponent) { return ldexp(x, exponent); }},
    {"ldexpf", (void*)+[](float x, int exponent) { return ldexpf(x, exponent); }},
    {"memcpy", (void*)simt_memcpy},                     {"memmove", (void*)simt_memcpy},
    {"__tsan_memcpy", (void*)simt_memcpy},              {"__tsan_memmove", (void*)simt_memcpy},
    {"memset", (void*)simt_memset},                     {"__tsan_memset", (void*)simt_memset},
    {"simt_dynamic_shared", (void*)kDynamicShared},
    {"__cxa_pure_virtual", (void*)simt_pure_virtual},
};

const char* section_name(const Elf64_Shdr& section) { return object.section_names + section.sh_name; }

bool starts_with(const char* text, const char* prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

uintptr_t external_address(const char* name) {
    for (const Library& entry : library)
        if (!strcmp(entry.name, name)) return (uintptr_t)entry.address;
    if (starts_with(name, "simt_") || starts_with(name, "__tsan_") || starts_with(name, "__ubsan_handle_") ||
        starts_with(name, "__sanitizer_cov_") || starts_with(name, "__x86_"))
        if (void* own = dlsym(RTLD_DEFAULT, name)) return (uintptr_t)own;
    finish("compile_error", "the kernel needs the function or variable %s, which device code does not have", name);
}

void read_object(const char* path) {
    const int file = open(path, O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status)) finish("unsupported", "the runner could not open the compiled kernel");
    object.bytes = (const uint8_t*)mmap(nullptr, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    const auto* header = (const Elf64_Ehdr*)object.bytes;
    if (object.bytes == MAP_FAILED || memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_type != ET_REL ||
        header->e_machine != EM_X86_64)
        finish("unsupported", "the compiled kernel is not an x86-64 object that the runner can load");
    if (!header->e_shnum || header->e_shnum > kMaxSections)  // a number over 65279 is kept elsewhere
        finish("unsupported", "the compiled kernel has more than %u sections (every function and variable may be one)",
               kMaxSections);
    object.sections = (const Elf64_Shdr*)(object.bytes + header->e_shoff);
    object.section_count = header->e_shnum;
    object.section_names = (const char*)object.bytes + object.sections[header->e_shstrndx].sh_offset;
    object.addresses = section_addresses;
    for (unsigned i = 0; i < object.section_count; i++) {
        const Elf64_Shdr& section = object.sections[i];
        if (section.sh_type != SHT_SYMTAB) continue;
        object.symbols = (const Elf64_Sym*)(object.bytes + section.sh_offset);
        object.symbol_count = (unsigned)(section.sh_size / sizeof(Elf64_Sym));
        object.symbol_names = (const char*)object.bytes + object.sections[section.sh_link].sh_offset;
    }
}

uintptr_t align_up(uintptr_t value, uintptr_t alignment) {
    return alignment > 1 ? (value + alignment - 1) / alignment * alignment : value;
}

// Of the variable that has the section to itself.
const char* name_of_section(unsigned index) {
    for (unsigned i = 0; i < object.symbol_count; i++)
        if (object.symbols[i].st_shndx == index && object.symbols[i].st_name)
            return object.symbol_names + object.symbols[i].st_name;
    return section_name(object.sections[index]);
}

// Shared variables lie in the runner's own thread-local block, where the code's offsets from the thread pointer
// can reach them.
void load_shared(unsigned index) {
    const Elf64_Shdr& section = object.sections[index];
    if (section.sh_type != SHT_NOBITS && section.sh_size)
        finish("compile_error", "a __shared__ variable has an initial value, which CUDA does not allow");
    object.addresses[index] = place_shared(name_of_section(index), section.sh_size, section.sh_addralign);
}

// The thread-sanitizer pass adds a constructor with a priority (.init_array.0 or .00099); one without is the
// candidate's, which cannot give a priority.
void refuse_constructors(unsigned index) {
    const Elf64_Shdr& section = object.sections[index];
    if (section.sh_size && !starts_with(section_name(section), ".init_array."))
        finish("compile_error", "a global variable needs code to run before the kernel, which CUDA does not allow");
}

bool is_loaded(const Elf64_Shdr& section) {
    return (section.sh_flags & SHF_ALLOC) && !(section.sh_flags & SHF_TLS) &&
           (section.sh_type == SHT_PROGBITS || section.sh_type == SHT_NOBITS);
}

// What code may write: not `__constant__` variables, to which the shim gives sections of their own, nor what the
// compiler keeps for itself (private labels, which begin with .L).
bool is_writable(const Elf64_Shdr& section) {
    const char* name = section_name(section);
    return (section.sh_flags & SHF_WRITE) && !starts_with(name, ".constant.") && !starts_with(name, ".data..L");
}

// A variable that code may write outlives a launch on a GPU: the cuda backend refuses it by the same rule. Every
// variable has a section of its own (-fdata-sections), so one of no size is told from its neighbours, too; those
// that nothing refers to are not loaded.
void refuse_state() {
    for (unsigned i = 0; i < object.section_count; i++) {
        const Elf64_Shdr& section = object.sections[i];
        if (section.sh_type != SHT_RELA || section.sh_info >= object.section_count ||
            !is_loaded(object.sections[section.sh_info]))
            continue;
        const auto* entries = (const Elf64_Rela*)(object.bytes + section.sh_offset);
        for (size_t entry = 0; entry < section.sh_size / sizeof *entries; entry++) {
            const size_t symbol = ELF64_R_SYM(entries[entry].r_info);
            const unsigned target = symbol < object.symbol_count ? object.symbols[symbol].st_shndx : SHN_UNDEF;
            if (target < object.section_count && is_loaded(object.sections[target]) &&
                is_writable(object.sections[target]))
                finish("rejected", "the global variable %s outlives a launch; use __constant__, an argument or "
                       "scratch instead", name_of_section(target));
        }
    }
}

void place(unsigned index) {
    const Elf64_Shdr& section = object.sections[index];
    image_position = align_up(image_position, section.sh_addralign);
    object.addresses[index] = image_position;
    if (section.sh_size > kImageLimit || (image_position += section.sh_size) > kImageBase + kImageLimit)
        finish("unsupported", "the kernel's global variables take more than %zu MiB", kImageLimit >> 20);
}

// Code first, then constants; returns where these begin.
uintptr_t place_sections() {
    uintptr_t constants = 0;
    for (bool code : {true, false}) {
        if (!code) constants = image_position = align_up(image_position, 4096);
        for (unsigned i = 0; i < object.section_count; i++) {
            const Elf64_Shdr& section = object.sections[i];
            if (is_loaded(section) && !is_writable(section) && code == !!(section.sh_flags & SHF_EXECINSTR)) place(i);
        }
    }
    return constants;
}

uintptr_t symbol_address(unsigned index) {
    const Elf64_Sym& symbol = object.symbols[index];
    const char* name = object.symbol_names + symbol.st_name;
    if (ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC)
        finish("compile_error", "the kernel chooses the function %s at load time, which CUDA does not allow", name);
    if (symbol.st_shndx == SHN_UNDEF) return external_address(name);
    if (symbol.st_shndx == SHN_ABS) return symbol.st_value;
    if (symbol.st_shndx >= object.section_count)
        finish("unsupported", "the compiled kernel has a symbol that the runner cannot place: %s", name);
    return object.addresses[symbol.st_shndx] + symbol.st_value;
}

uintptr_t thread_pointer() {
    uintptr_t value;
    asm("mov %%fs:0, %0" : "=r"(value));
    return value;
}

void store(uintptr_t place, uintptr_t value, size_t bytes) { memcpy((void*)place, &value, bytes); }

size_t relocated_bytes(const Elf64_Rela& entry) {
    return ELF64_R_TYPE(entry.r_info) == R_X86_64_64 || ELF64_R_TYPE(entry.r_info) == R_X86_64_PC64 ? 8 : 4;
}

// A relocation may write only into its section: this process is not yet locked down.
void check_relocation(const Elf64_Rela& entry, size_t section_bytes) {
    const size_t bytes = relocated_bytes(entry);
    if (ELF64_R_SYM(entry.r_info) >= object.symbol_count || entry.r_offset > section_bytes ||
        bytes > section_bytes - entry.r_offset)
        finish("rejected", "the compiled kernel has a relocation outside its section");
}

void relocate(uintptr_t place, const Elf64_Rela& entry) {
    const uintptr_t value = symbol_address((unsigned)ELF64_R_SYM(entry.r_info)) + (uintptr_t)entry.r_addend;
    switch (ELF64_R_TYPE(entry.r_info)) {
        case R_X86_64_64: return store(place, value, 8);
        case R_X86_64_32:
        case R_X86_64_32S: return store(place, value, 4);
        case R_X86_64_PC64: return store(place, value - place, 8);
        case R_X86_64_PC32:
        case R_X86_64_PLT32: return store(place, value - place, 4);
        case R_X86_64_TPOFF32: return store(place, value - thread_pointer(), 4);
    }
    finish("unsupported", "the compiled kernel has a relocation of type %u, which the runner does not know",
           (unsigned)ELF64_R_TYPE(entry.r_info));
}

void relocate_section(const Elf64_Shdr& relocations) {
    if (relocations.sh_info >= object.section_count) return;
    const uintptr_t target = object.addresses[relocations.sh_info];
    if (!target) return;
    const auto* entries = (const Elf64_Rela*)(object.bytes + relocations.sh_offset);
    for (size_t i = 0; i < relocations.sh_size / sizeof *entries; i++) {
        check_relocation(entries[i], object.sections[relocations.sh_info].sh_size);
        relocate(target + entries[i].r_offset, entries[i]);
    }
}

void map_image(size_t bytes) {
    void* image = mmap((void*)kImageBase, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (image != (void*)kImageBase) finish("unsupported", "the kernel's global variables do not fit into memory");
    for (unsigned i = 0; i < object.section_count; i++) {
        const Elf64_Shdr& section = object.sections[i];
        if (object.addresses[i] && is_loaded(section) && section.sh_type == SHT_PROGBITS)
            memcpy((void*)object.addresses[i], object.bytes + section.sh_offset, section.sh_size);
    }
}

// The largest frame of a function: of all that look like `sub $bytes, %rsp`.
size_t largest_frame() {
    static const uint8_t kOpcode[] = {0x48, 0x81, 0xec};
    size_t largest = 0;
    const uint8_t *at = (const uint8_t*)kImageBase, *end = at + simt_code_bytes - 7;
    while ((at = at < end ? (const uint8_t*)memmem(at, (size_t)(end - at), kOpcode, sizeof kOpcode) : nullptr)) {
        uint32_t bytes;
        memcpy(&bytes, at += sizeof kOpcode, sizeof bytes);
        if (bytes > largest && bytes <= kMaxFrame) largest = bytes;
    }
    return largest;
}

// Where functions begin: nothing else can be called through a pointer.
void mark_entries() {
    void* area = mmap(nullptr, simt_code_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) finish("unsupported", "the kernel's code does not fit into memory");
    for (unsigned i = 0; i < object.symbol_count; i++) {
        const Elf64_Sym& symbol = object.symbols[i];
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx >= object.section_count) continue;
        const size_t offset = object.addresses[symbol.st_shndx] + symbol.st_value - kImageBase;
        if (offset < simt_code_bytes) ((uint8_t*)area)[offset] = 1;
    }
    mprotect(area, simt_code_bytes, PROT_READ);
    simt_entries = (const uint8_t*)area;
}

void map_dynamic_shared() {
    void* shared = mmap((void*)kDynamicShared, kMaxShared, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (shared != (void*)kDynamicShared) finish("unsupported", "the runner could not map shared memory");
}

}  // namespace

void load_object(const char* path) {
    read_object(path);
    for (unsigned i = 0; i < object.section_count; i++) {
        const Elf64_Shdr& section = object.sections[i];
        if (section.sh_flags & SHF_TLS) load_shared(i);
        if (section.sh_type == SHT_INIT_ARRAY || section.sh_type == SHT_PREINIT_ARRAY) refuse_constructors(i);
    }
    refuse_state();
    const uintptr_t constants = place_sections();
    const size_t bytes = align_up(image_position - kImageBase + 1, 4096);
    map_image(bytes);
    map_dynamic_shared();
    for (unsigned i = 0; i < object.section_count; i++)
        if (object.sections[i].sh_type == SHT_RELA) relocate_section(object.sections[i]);
    mprotect((void*)kImageBase, constants - kImageBase, PROT_READ | PROT_EXEC);
    mprotect((void*)constants, kImageBase + bytes - constants, PROT_READ);
    simt_code_bytes = constants - kImageBase;
    mark_entries();
    expect_frames(largest_frame());
    set_image(constants, image_position);
}

void* find_symbol(const char* name) {
    for (unsigned i = 0; i < object.symbol_count; i++) {
        const Elf64_Sym& symbol = object.symbols[i];
        if (symbol.st_shndx != SHN_UNDEF && !strcmp(object.symbol_names + symbol.st_name, name))
            return (void*)symbol_address(i);
    }
    return nullptr;
}

}  // namespace simt
