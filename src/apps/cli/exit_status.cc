#include "apps/cli/exit_status.h"

#include <new>
#include <ostream>

namespace annulus::cli {

int exit_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidRequest:
    case ErrorCode::NotFound:
      return 2;
    case ErrorCode::CorruptFile:
      return 3;
    case ErrorCode::Unsupported:
      return 4;
    case ErrorCode::OutOfMemory:
    case ErrorCode::StorageFull:
      return 5;
    case ErrorCode::DeviceFailure:
      return 6;
    case ErrorCode::PeerFailure:
      return 7;
    case ErrorCode::NonFinite:
      return 8;
    case ErrorCode::Cancelled:
      return 130;
  }
  return 1;
}

int report_error(std::ostream& out, const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    out << "annulus: error: " << known->what() << '\n';
    if (!known->hint().empty()) out << "hint: " << known->hint() << '\n';
    return exit_status(known->code());
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    out << "annulus: error: memory: wanted more, found none left\n";
    return exit_status(ErrorCode::OutOfMemory);
  }
  out << "annulus: error: internal: wanted no such exception, found: " << error.what() << '\n'
      << "hint: this is a bug in annulus; please report the command and this line\n";
  return 1;
}

}  // namespace annulus::cli
