// simt.h again, precompiled with other flags: for sources that may pass structures by value.
#pragma once
#include "simt.h"
