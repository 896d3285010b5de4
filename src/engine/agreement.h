// How ranks make sure that they do the same thing, and how what goes wrong on one becomes one
// error on all of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace annulus {

/// Something that must be the same on every rank.
struct Statement {
  std::string what;   // "version", "weights of transformer/model.safetensors"
  std::string value;  // short enough to be quoted
};

/// Collective. Throws PeerFailure on every rank when two ranks differ, naming what, both values and
/// both ranks.
void require_agreement(Communicator& world, const std::vector<Statement>& mine);

/// Does `work` on every rank and returns when all have done it. Collective, but `work` itself need
/// not be. What one rank throws is thrown on all, its number before the message unless all say the
/// same.
void together(Communicator& world, const std::function<void()>& work);

/// An error as the reason of Communicator::abort(), and back.
std::string failure_text(int rank, const std::exception& error);

/// The error that a PeerFailure quotes, if it was made by failure_text(); else itself.
Error quoted_error(const Error& peer_failure);

}  // namespace annulus
