// Prompts that ranks encode in turn.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nn/context.h"
#include "pipeline/conditioning.h"

namespace annulus {

/// Prompt i is in the list of rank i mod size, each a batch of one; returns all of them, in order,
/// on every rank. Collective.
std::vector<Conditioning> exchange_in_turn(const Context& ctx, Communicator& ranks,
                                           const std::vector<Conditioning>& mine);

/// The conditioning of each list of prompts. Ranks of the world take the prompts in turn, each by
/// itself; one rank encodes a list at a time. Collective.
std::vector<Conditioning> encode_in_turn(
    const Context& ctx, const std::vector<std::vector<std::string>>& lists,
    const std::function<Conditioning(std::span<const std::string> prompts)>& encode);

/// Prompts of one entry each as one batch, padded with zeros to the longest.
Conditioning batch_of(const Context& ctx, const std::vector<Conditioning>& prompts);

}  // namespace annulus
