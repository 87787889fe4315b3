// All of simt.h, the 16-bit floating types, matrix products and SIMD within words: for sources that use them.
#pragma once
#include "simt.h"
#include "words.h"
#include "floating.h"
#include "matrix.h"
