#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/agreement.h"
#include "io/checkpoint.h"

namespace annulus {

/// A line for each file of a model's components (and each of `more`), by a name that does not
/// depend on the machine: its size and a hash of what is compared. Of a safetensors file that is
/// the header and 4 KiB from both ends and the middle of every tensor, so that 56 GB take as long
/// as the headers; of others all up to 1 MiB, else likewise. `info --verify` reads everything.
std::vector<Statement> fingerprint(const Checkpoint& checkpoint,
                                   std::span<const std::filesystem::path> more = {});

/// The same of files that belong to no model (pictures, latents), by their names without folders.
std::vector<Statement> fingerprint(std::span<const std::filesystem::path> files);

/// All of it as 16 hexadecimal digits.
std::string digest_of(std::span<const Statement> lines);

}  // namespace annulus
