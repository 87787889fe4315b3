// Loads a candidate's relocatable object file.
#pragma once
#include "machine.h"

namespace simt {

void load_object(const char* path);
void* find_symbol(const char* name);  // in the loaded object; null if absent

}  // namespace simt
