#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace annulus {

/// A file that appears whole or not at all: written under another name in the same folder, synced,
/// then renamed. Until `commit` the target is untouched; without it the temporary file is removed.
///
/// Every function throws StorageFull when the disk (or quota) is full, saying how many bytes were
/// wanted, and InvalidRequest when the folder is absent or may not be written.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Where the file is until then, for another program that writes it in place.
  const std::filesystem::path& temporary() const noexcept { return temporary_; }

  /// Makes the target appear, replacing what was there.
  void commit();

  /// Makes the target appear without ever replacing a file: under its name or, where that is taken,
  /// as name-2.ending, name-3.ending, ..., whichever is free first, also when others write there at
  /// the same moment. Returns the path.
  std::filesystem::path commit_numbered();

 private:
  [[noreturn]] void fail(std::string_view wanted) const;
  void finish_writing();
  void sync_folder() const noexcept;
  bool placed_at_free(const std::filesystem::path& path) const;

  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
  std::size_t written_ = 0;
};

/// Writes a whole file through AtomicFile.
void write_file(const std::filesystem::path& target, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& target, std::string_view text);

}  // namespace annulus
