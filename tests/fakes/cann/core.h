// What every part of the emulator shares: its settings, the record of what clients did wrong, error
// texts, injected failures. README.md says what is emulated and how to set it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "platform/ascend/cann_abi.h"

namespace fake_cann {

/// From the environment (FAKE_CANN_...), read when a process loads the library and at each aclInit.
struct Settings {
  std::string soc = "Ascend910B3";
  int devices = 4;
  std::size_t memory = std::size_t{2} << 30;  // bytes of each device
  int delay_us = 20;                          // at most, before each task of a stream
  std::uint64_t seed = 1;                     // of the delays
  std::set<std::string> defects;              // of real stacks, see README.md
  std::string no_keys = "infinity";           // LSE of an empty K/V block
};

Settings settings();
void read_settings();

/// A breach of the ABI's rules by the client: kept for fakeCannProblems().
void problem(const std::string& what);
std::vector<std::string> take_problems();

/// Sets this thread's recent error text and gives back `code`.
int fail(int code, const std::string& text);
/// This thread's text, cleared; null when there is none.
const char* take_error_text();

/// Counts a call of a public function. True when a failure was asked for it (FAKE_CANN_FAIL).
bool called(const char* function);
std::uint64_t calls_of(const std::string& function);
void forget_calls();

/// Live objects of a kind ("tensor", "executor", ...), for leak counts.
void count(const std::string& kind, int change);
std::vector<std::string> live_objects();  // "3 tensor"

}  // namespace fake_cann
