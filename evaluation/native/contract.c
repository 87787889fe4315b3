/* An assembler for kernels: contracts a product and a sum of one expression to a fused multiply-add, as nvcc does by
 * default, and goes on as the real assembler (REAL_ASSEMBLER).
 *
 * GCC contracts only where it optimises, and kernels are compiled without. So here a `mulss` also keeps its factors in
 * xmm14 and xmm15, which the compiler leaves alone (-ffixed-xmm14, -ffixed-xmm15), and an `addss` or `subss` in the
 * same block that takes the product from its register, from a copy or from the variable that it was stored to, becomes a
 * vfmadd of the factors. Everything stays as it is on a processor without FMA.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OPERAND = 64 };

typedef struct {
    char name[16], source[MAX_OPERAND], target[MAX_OPERAND]; /* AT&T order: source, target */
    int operands;
} Instruction;

static unsigned holders; /* the registers, by bit, that hold the last product */
static char variable[MAX_OPERAND]; /* the place on the stack that holds it, or "" */
static char suffix;      /* of its type: s or d */

/* The bit of a register that is an operand, 0 for any other operand. */
static unsigned bit_of(const char* operand) { return strncmp(operand, "%xmm", 4) ? 0 : 1u << atoi(operand + 4); }

/* An instruction with up to two operands; others have operands < 0. A comma within parentheses ends none. */
static Instruction parse(const char* line, size_t length) {
    Instruction found = {"", "", "", -1};
    char text[256], *name = text, *rest, *comma = NULL;
    if (length < 2 || length >= sizeof text || line[0] != '\t' || line[1] == '.') return found;
    memcpy(text, line, length);
    text[length] = 0;
    name += 1;
    rest = strchr(name, '\t');
    if (rest) *rest++ = 0;
    if (strlen(name) >= sizeof found.name) return found;
    strcpy(found.name, name);
    found.operands = 0;
    if (!rest) return found;
    int depth = 0;
    for (char* at = rest; *at; at++) {
        depth += (*at == '(') - (*at == ')');
        if (*at == ',' && !depth) comma = comma ? (found.operands = -1, comma) : at;
    }
    if (!comma && strstr(rest, "%xmm")) found.operands = -1;
    if (found.operands < 0 || !comma) return found;
    *comma++ = 0;
    while (*comma == ' ') comma++;
    if (strlen(rest) >= MAX_OPERAND || strlen(comma) >= MAX_OPERAND) return found;
    strcpy(found.source, rest);
    strcpy(found.target, comma);
    found.operands = 2;
    return found;
}

static int is_product(const char* operand) {
    return (bit_of(operand) & holders) || (variable[0] && !strcmp(operand, variable));
}

/* Keeps track of where the product is, over an instruction that is left as it is. */
static void follow(const Instruction* now) {
    const int moves = !strncmp(now->name, "movs", 4) && now->name[4] == suffix && !now->name[5];
    const int copies = (moves || !strcmp(now->name, "movaps")) && is_product(now->source);
    const unsigned target = bit_of(now->target);
    if (now->operands < 0 || now->name[0] == 'j' || !strcmp(now->name, "call") || !strcmp(now->name, "ret")) {
        holders = 0; /* a block ends, or this is not understood */
        variable[0] = 0;
    } else if (now->operands == 2 && target) {
        holders = copies ? holders | target : holders & ~target;
    } else if (now->operands == 2 && strchr(now->target, '(') && strncmp(now->name, "cmp", 3) &&
               strncmp(now->name, "test", 4)) { /* a store: elsewhere, or over the variable */
        const int elsewhere = moves && strstr(now->target, "(%rbp)") && strcmp(now->target, variable);
        if (copies && strstr(now->target, "(%rbp)")) strcpy(variable, now->target);
        else if (!elsewhere) variable[0] = 0;
    }
}

/* A sum or difference with the product: writes it fused if `now` is one. */
static int fused(FILE* out, const Instruction* now) {
    const int adds = !strncmp(now->name, "adds", 4), subtracts = !strncmp(now->name, "subs", 4);
    const unsigned to = bit_of(now->target) & holders;
    const int from = is_product(now->source);
    if (!(adds || subtracts) || now->name[4] != suffix || now->name[5] || !from == !to) return 0;
    if (to) {
        fprintf(out, "\tmovaps\t%%xmm15, %s\n", now->target);
        fprintf(out, "\tvf%s213s%c\t%s, %%xmm14, %s\n", adds ? "madd" : "msub", suffix, now->source, now->target);
    } else {
        fprintf(out, "\tvf%s231s%c\t%%xmm14, %%xmm15, %s\n", adds ? "madd" : "nmadd", suffix, now->target);
    }
    holders &= ~to;
    return 1;
}

static void contract(FILE* out, const char* line, size_t length) {
    const Instruction now = parse(line, length);
    if (now.operands == 2 && !strncmp(now.name, "muls", 4) && strchr("sd", now.name[4]) && !now.name[5]) {
        suffix = now.name[4];
        holders = bit_of(now.target);
        variable[0] = 0;
        fprintf(out, "\tmovaps\t%s, %%xmm15\n", now.target);
        if (bit_of(now.source)) fprintf(out, "\tmovaps\t%s, %%xmm14\n", now.source);
        else fprintf(out, "\tmovs%c\t%s, %%xmm14\n", suffix, now.source);
        fprintf(out, "\tmuls%c\t%%xmm14, %s\n", suffix, now.target);
        return;
    }
    if (now.operands == 2 && fused(out, &now)) return;
    follow(&now);
    fwrite(line, 1, length, out);
    fputc('\n', out);
}

static char* read_file(const char* path, size_t* size) {
    FILE* file = fopen(path, "r");
    if (!file || fseek(file, 0, SEEK_END)) exit(1);
    *size = (size_t)ftell(file);
    rewind(file);
    char* text = malloc(*size + 1);
    if (!text || fread(text, 1, *size, file) != *size) exit(1);
    fclose(file);
    return text;
}

int main(int count, char** arguments) {
    size_t size;
    const char* path = arguments[count - 1];
    if (count > 1 && __builtin_cpu_supports("fma")) {
        char* text = read_file(path, &size);
        FILE* out = fopen(path, "w");
        if (!out) return 1;
        for (char *line = text, *end; line < text + size; line = end + 1) {
            end = memchr(line, '\n', (size_t)(text + size - line));
            if (!end) end = text + size;
            contract(out, line, (size_t)(end - line));
        }
        if (fclose(out)) return 1;
    }
    execv(REAL_ASSEMBLER, arguments);
    return 127;
}
