#include "engine/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iomanip>
#include <sstream>

#include "io/mapped_file.h"
#include "io/safetensors.h"

namespace annulus {

namespace {

constexpr std::size_t kSample = 4096;                 // bytes
constexpr std::size_t kWhole = std::size_t{1} << 20;  // files up to here are read whole

/// FNV-1a over words of 8 bytes. No defence against malice: it finds mistakes.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) noexcept {
    while (!bytes.empty()) {
      std::uint64_t word = 0;
      const std::size_t count = std::min(sizeof word, bytes.size());
      std::memcpy(&word, bytes.data(), count);
      state_ = (state_ ^ word) * 0x100000001b3u;
      state_ ^= state_ >> 29;
      bytes = bytes.subspan(count);
    }
  }
  std::uint64_t value() const noexcept { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

std::string digits_of(const Hash& hash) {
  std::ostringstream digits;
  digits << std::hex << std::setw(16) << std::setfill('0') << hash.value();
  return digits.str();
}

/// Both ends and the middle.
void add_samples(Hash& hash, std::span<const std::byte> bytes) {
  if (bytes.size() <= 3 * kSample) return hash.add(bytes);
  hash.add(bytes.first(kSample));
  hash.add(bytes.subspan(bytes.size() / 2 - kSample / 2, kSample));
  hash.add(bytes.last(kSample));
}

Statement of_file(const std::filesystem::path& file, const std::string& name) {
  Hash hash;
  const std::uintmax_t size = std::filesystem::file_size(file);
  if (size > 0) {
    const auto mapped = MappedFile::open(file, ErrorCode::CorruptFile);
    const std::span<const std::byte> bytes = mapped->bytes();
    if (file.extension() == ".safetensors") {
      std::map<std::string, std::string> metadata;
      const auto tensors =
          read_safetensors_header(bytes, file.string(), ErrorCode::CorruptFile, metadata);
      const std::size_t header = tensors.empty() ? bytes.size() : tensors.front().offset;
      hash.add(bytes.first(header));
      for (const StoredTensor& tensor : tensors)
        add_samples(hash, bytes.subspan(tensor.offset, tensor.bytes));
    } else if (bytes.size() <= kWhole) {
      hash.add(bytes);
    } else {
      add_samples(hash, bytes);
    }
  }
  return {"model file " + name, text_of(size, " bytes, hash ", digits_of(hash))};
}

/// Names of the files of a folder (not of folders in it), in an order of their own.
std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code absent;  // a component without a folder has nothing to compare
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent))
    if (entry.is_regular_file() && !entry.path().filename().string().starts_with('.'))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::vector<Statement> fingerprint(const Checkpoint& checkpoint,
                                   std::span<const std::filesystem::path> more) {
  std::vector<Statement> lines;
  for (const char* name : {"model_index.json", "annulus.json"})
    if (std::filesystem::exists(checkpoint.folder() / name))
      lines.push_back(of_file(checkpoint.folder() / name, name));
  for (const Component& component : checkpoint.components())
    for (const std::string& name : names_in(component.folder))
      lines.push_back(of_file(component.folder / name, component.name + "/" + name));
  for (Statement& line : fingerprint(more)) lines.push_back(std::move(line));
  return lines;
}

std::vector<Statement> fingerprint(std::span<const std::filesystem::path> files) {
  std::vector<Statement> lines;
  for (const std::filesystem::path& file : files)
    lines.push_back(of_file(file, file.filename().string()));
  return lines;
}

std::string digest_of(std::span<const Statement> lines) {
  Hash hash;
  for (const auto& [what, value] : lines)
    for (const std::string* text : {&what, &value})
      hash.add(std::as_bytes(std::span(text->c_str(), text->size() + 1)));
  return digits_of(hash);
}

}  // namespace annulus
