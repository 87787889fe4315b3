// All of simt.h, the 16-bit floating types and SIMD within words: for sources that use them.
#pragma once
#include "simt.h"
#include "words.h"
#include "floating.h"
