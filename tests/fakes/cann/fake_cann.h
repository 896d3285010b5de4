// What the emulator offers beside CANN's own functions, for tests that look them up with dlsym in
// libascendcl.so. Clients need none of it.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// Breaches of the ABI since the last call, and objects that are alive now (descriptors, executors,
/// pinned blocks): one a line into `text`, as many as fit. Returns how many there are.
int fakeCannProblems(char* text, std::size_t bytes);

/// How often a public function was called; "*": all of them.
std::uint64_t fakeCannCalls(const char* function);
void fakeCannForgetCalls();
}
