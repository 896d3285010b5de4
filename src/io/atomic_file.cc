#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/error.h"

namespace annulus {

void AtomicFile::fail(std::string_view wanted) const {
  const int number = errno;
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  throw Error(full ? ErrorCode::StorageFull : ErrorCode::InvalidRequest,
              text_of("file: wanted ", wanted, ", found ", std::generic_category().message(number),
                      " (", target_.string(), ")"));
}

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
  // Hidden and short, so that neither a pattern of pictures nor the limit of a name's length meets
  // it. O_EXCL settles races between threads and with remains of a killed process of the same id.
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = target_.parent_path() / text_of(".annulus-", ::getpid(), "-", attempt, ".tmp");
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) fail("to create it");
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  const std::size_t want = written_ + bytes.size();
  while (!bytes.empty()) {
    constexpr std::size_t kMost = std::size_t{1} << 30;  // Linux takes at most 2 GiB at once
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMost));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(text_of("room for ", want, " bytes, of which ", written_, " fitted"));
    written_ += static_cast<std::size_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::finish_writing() {
  const std::string room = text_of("room for ", written_, " bytes");
  if (::fsync(descriptor_) != 0) fail(room);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail(room);
}

// The name itself: a crash now would else lose a file that was reported as written. Best effort,
// since some file systems cannot sync a folder.
void AtomicFile::sync_folder() const noexcept {
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  if (const int parent = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); parent >= 0) {
    ::fsync(parent);
    ::close(parent);
  }
}

void AtomicFile::commit() {
  finish_writing();
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("to rename it into place");
  temporary_.clear();
  sync_folder();
}

/// Gives the temporary file the name `path` unless something has it. Three ways, since not every
/// file system knows the better ones: a rename that never replaces, a hard link, and taking the
/// name with an empty file first.
bool AtomicFile::placed_at_free(const std::filesystem::path& path) const {
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
    return true;
  if (errno == EEXIST) return false;
  if (::link(temporary_.c_str(), path.c_str()) == 0) {
    ::unlink(temporary_.c_str());
    return true;
  }
  if (errno == EEXIST) return false;
  const int taken = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (taken < 0 && errno == EEXIST) return false;
  if (taken < 0) fail("to create it");
  ::close(taken);
  if (::rename(temporary_.c_str(), path.c_str()) != 0) fail("to rename it into place");
  return true;
}

std::filesystem::path AtomicFile::commit_numbered() {
  finish_writing();
  std::filesystem::path path = target_;
  for (int number = 2; !placed_at_free(path); ++number)
    path = target_.parent_path() /
           text_of(target_.stem().string(), "-", number, target_.extension().string());
  temporary_.clear();
  sync_folder();
  return path;
}

void write_file(const std::filesystem::path& target, std::span<const std::byte> bytes) {
  AtomicFile file(target);
  file.write(bytes);
  file.commit();
}

void write_file(const std::filesystem::path& target, std::string_view text) {
  write_file(target, std::as_bytes(std::span(text)));
}

}  // namespace annulus
