// What the process that runs a candidate may still do: almost nothing.
#pragma once

namespace simt {

constexpr int kReportFile = 3;

// SIGPROF ends the process after `seconds` of CPU time, which a busy machine does not shorten; SIGALRM after ten
// times as much of wall clock. Also starts the watch for empty loops.
void limit_time(double seconds);
void catch_signals();             // turns crashes into reports
void lock_down();                 // only write to kReportFile, return from a signal, and exit

}  // namespace simt
