// What the process that runs a candidate may still do: almost nothing.
#pragma once

namespace simt {

constexpr int kReportFile = 3;

void die_with(int parent);  // ends this process when the server's ends; a fork does not inherit that
// SIGPROF ends the process after `seconds` of CPU time, which a busy machine does not shorten; SIGALRM after ten
// times as much of wall clock; and SIGKILL, which cannot be blocked, two seconds of CPU time after SIGPROF should
// have. Also starts the watch for empty loops.
void limit_time(double seconds);
void limit_memory(unsigned long long megabytes);  // of address space
void catch_signals();             // turns crashes into reports
void lock_down();                 // only write to kReportFile, return from a signal, and exit

}  // namespace simt
