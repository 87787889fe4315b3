#pragma once
namespace std { using ::size_t; }
