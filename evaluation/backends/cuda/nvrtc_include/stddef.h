#pragma once
#define offsetof(type, member) ((size_t) &((type*)0)->member)
namespace std { using ::size_t; using ::ptrdiff_t; }
