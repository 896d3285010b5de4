// Prompts that ranks encode in turn.
#pragma once

#include <vector>

#include "nn/context.h"
#include "pipeline/conditioning.h"

namespace annulus {

/// Prompt i is in the list of rank i mod size, each a batch of one; returns all of them, in order,
/// on every rank. Collective.
std::vector<Conditioning> exchange_in_turn(const Context& ctx, Communicator& ranks,
                                           const std::vector<Conditioning>& mine);

/// Prompts of one entry each as one batch, padded with zeros to the longest.
Conditioning batch_of(const Context& ctx, const std::vector<Conditioning>& prompts);

}  // namespace annulus
