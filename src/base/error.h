// Errors of the whole project: thrown where they are found, caught at two edges (main, the HTTP
// handler). The codes decide the exit status of the command line (docs/cli.md has the table). Start
// with `require`.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace annulus {

enum class ErrorCode {
  InvalidRequest,  // an option, request or input file of the user
  NotFound,
  Unsupported,  // no platform or backend here can do it
  CorruptFile,  // a model file is missing, damaged or does not fit
  OutOfMemory,
  StorageFull,
  DeviceFailure,
  PeerFailure,  // another rank failed, stalled or disagreed
  NonFinite,    // weights or arithmetic gave NaN or Inf
  Cancelled
};

/// What was wanted, what was found, and where; `hint()` is at most one line of help and may be
/// empty.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& what, std::string hint = {})
      : std::runtime_error(what), code_(code), hint_(std::move(hint)) {}
  ErrorCode code() const noexcept { return code_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorCode code_;
  std::string hint_;
};

/// Joins the printed forms of `parts`.
template <class... Parts>
std::string text_of(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

/// Throws Error{code} when `ok` is false; the parts are only joined then.
template <class... Parts>
void require(bool ok, ErrorCode code, const Parts&... parts) {
  if (ok) [[likely]]
    return;
  throw Error(code, text_of(parts...));
}

}  // namespace annulus
