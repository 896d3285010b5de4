#include "tensor/workspace.h"

namespace annulus {

std::byte* Workspace::take(std::size_t bytes) {
  if (buffer_ == nullptr || buffer_->bytes < bytes) {
    buffer_.reset();
    buffer_ = device_->allocate(bytes);
  }
  return buffer_->data;
}

}  // namespace annulus
