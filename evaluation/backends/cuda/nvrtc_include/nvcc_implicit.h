// What nvcc includes at the start of every .cu file and NVRTC does not, as far as device code can use it.
#pragma once
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
