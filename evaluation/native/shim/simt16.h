// All of simt.h and the 16-bit floating types, for sources that include cuda_fp16.h or cuda_bf16.h.
#pragma once
#include "simt.h"
#include "floating.h"
