// CUDA C++ device code for a C++17 compiler that knows nothing of CUDA: everything a kernel may name.
//
// The source of a candidate is compiled unchanged behind this header (a precompiled one, so its size costs
// nothing). Nothing here needs a system header. Names that begin with `simt` are the runner's; a candidate
// may not use them. What is not here: textures, surfaces, dynamic parallelism, PTX; and what would
// make every compilation slower though few sources need it (simt16.h).
#pragma once
#include "types.h"
#include "std_type_traits.h"
#include "thread.h"
#include "warp.h"
#include "atomics.h"
#include "math.h"
#include "rounding.h"
#include "intrinsics.h"
#include "constants.h"
#include "copies.h"
#include "cooperative_groups.h"
#include "std_algorithm.h"
#include "std_limits.h"
#include "entry.h"
