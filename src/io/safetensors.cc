#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "io/json.h"
#include "io/safetensors_dtype.h"

namespace annulus {

namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMostHeaderBytes =
    100'000'000;  // the limit of the reference implementation
constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr std::uint64_t kMostBytes = std::numeric_limits<std::int64_t>::max();

std::uint64_t little_endian(std::span<const std::byte, kLengthBytes> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    value = value << 8 | std::to_integer<unsigned>(bytes[i]);
  return value;
}

/// Throws for one tensor of a file.
class Rule {
 public:
  Rule(ErrorCode code, std::string_view tensor, const std::string& where)
      : code_(code), tensor_(tensor), where_(where) {}

  template <class... Parts>
  void check(bool ok, const Parts&... parts) const {
    require(ok, code_, "tensor \"", tensor_, "\": ", parts..., " (", where_, ")");
  }

 private:
  ErrorCode code_;
  std::string_view tensor_;
  const std::string& where_;
};

/// a * b, or nothing when it passes 63 bits.
std::optional<std::uint64_t> product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result) || result > kMostBytes) return std::nullopt;
  return result;
}

std::vector<std::int64_t> read_shape(const Json& entry, const Rule& rule) {
  const Json shape = entry["shape"];
  rule.check(shape.is_array(), "wanted a shape that is a list, found ", shape.dump());
  std::vector<std::int64_t> extents;
  for (const Json& extent : shape.elements()) {
    rule.check(extent.is_integer() && extent.as<double>() >= 0 && extent.as<double>() < kTwoTo63,
               "wanted extents that are integers from 0 to below 2^63, found ", extent.dump());
    extents.push_back(extent.as<std::int64_t>());
  }
  return extents;
}

StoredTensor read_entry(std::string_view name, const Json& entry, std::uint64_t data_begin,
                        std::uint64_t data_bytes, const Rule& rule) {
  rule.check(entry.is_object(), "wanted an object, found ", entry.dump());
  for (const auto& [key, value] : entry.members())
    rule.check(key == "dtype" || key == "shape" || key == "data_offsets",
               "wanted only dtype, shape and data_offsets, found \"", key, "\"");
  for (const char* key : {"dtype", "shape", "data_offsets"})
    rule.check(entry.has(key), "wanted ", key, ", found none");

  StoredTensor stored{.name = std::string(name), .dtype = {}, .extents = read_shape(entry, rule)};
  rule.check(entry["dtype"].is_string(), "wanted a dtype that is a string, found ",
             entry["dtype"].dump());
  stored.dtype = entry.get<std::string>("dtype");
  const StoredDType* const dtype = find_stored_dtype(stored.dtype);
  rule.check(dtype != nullptr, "wanted a dtype of the format, found \"", stored.dtype, "\"");

  const Json offsets = entry["data_offsets"];
  rule.check(offsets.is_array() && offsets.size() == 2 && offsets.at(0).is_integer() &&
                 offsets.at(1).is_integer(),
             "wanted data_offsets [begin, end], found ", offsets.dump());
  const bool ordered = offsets.at(0).as<double>() >= 0 && offsets.at(1).as<double>() < kTwoTo63 &&
                       offsets.at(0).as<double>() <= offsets.at(1).as<double>();
  rule.check(ordered, "wanted data_offsets with 0 <= begin <= end, found ", offsets.dump());
  const auto begin = offsets.at(0).as<std::uint64_t>(), end = offsets.at(1).as<std::uint64_t>();
  rule.check(begin <= end && end <= data_bytes, "wanted data_offsets within the ", data_bytes,
             " bytes of the file's data, found ", offsets.dump());

  // An extent of 0 must not hide an overflow of the others: strides are products of them.
  std::optional<std::uint64_t> bits = dtype->bits;
  bool empty = false;
  for (const std::int64_t extent : stored.extents) {
    if (bits && extent != 0) bits = product(*bits, static_cast<std::uint64_t>(extent));
    empty = empty || extent == 0;
  }
  if (bits && empty) bits = 0;
  rule.check(bits && *bits % 8 == 0, "wanted a size in whole bytes below 2^60, found shape ",
             entry["shape"].dump(), " of ", stored.dtype);
  rule.check(*bits / 8 == end - begin, "wanted ", *bits / 8, " bytes for shape ",
             entry["shape"].dump(), " of ", stored.dtype, ", found data_offsets ", offsets.dump());
  stored.offset = static_cast<std::size_t>(data_begin + begin);
  stored.bytes = static_cast<std::size_t>(end - begin);
  return stored;
}

}  // namespace

std::vector<StoredTensor> read_safetensors_header(std::span<const std::byte> bytes,
                                                  const std::string& where, ErrorCode code,
                                                  std::map<std::string, std::string>& metadata) {
  require(bytes.size() >= kLengthBytes, code, "header: wanted 8 bytes of length, found a file of ",
          bytes.size(), " bytes (", where, ")");
  const std::uint64_t length = little_endian(bytes.first<kLengthBytes>());
  require(length <= kMostHeaderBytes, code, "header: wanted at most ", kMostHeaderBytes,
          " bytes, found a length of ", length, " (", where, ")");
  require(length <= bytes.size() - kLengthBytes, code, "header: wanted ", length,
          " bytes after the length, found ", bytes.size() - kLengthBytes, " (", where, ")");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  require(text.starts_with('{'), code, "header: wanted a JSON object that begins at byte 8, found ",
          text.empty() ? "an empty header" : "something else", " (", where, ")");
  const Json header = Json::parse(text, where, code, {.bytes = kMostHeaderBytes, .depth = 4});

  const std::uint64_t data_begin = kLengthBytes + length, data_bytes = bytes.size() - data_begin;
  std::vector<StoredTensor> tensors;
  tensors.reserve(header.size());
  metadata.clear();
  for (const auto& [name, entry] : header.members()) {
    if (name == "__metadata__") {
      for (const auto& [key, value] : entry.members())
        metadata.emplace(key, value.as<std::string>());
      continue;
    }
    tensors.push_back(read_entry(name, entry, data_begin, data_bytes, {code, name, where}));
  }

  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  std::uint64_t covered = data_begin;
  std::string_view before = "the header";
  for (const StoredTensor& tensor : tensors) {
    const Rule rule(code, tensor.name, where);
    rule.check(tensor.offset >= covered, "wanted bytes of its own, found an overlap of ",
               covered - tensor.offset, " bytes with \"", before, "\"");
    rule.check(tensor.offset <= covered, "wanted its bytes right after \"", before,
               "\", found a hole of ", tensor.offset - covered, " bytes");
    covered = tensor.offset + tensor.bytes;
    before = tensor.name;
  }
  require(covered == bytes.size(), code, "file: wanted to end with its last tensor, found ",
          bytes.size() - covered, " trailing bytes (", where, ")");
  return tensors;
}

std::optional<DType> StoredTensor::type() const noexcept {
  const StoredDType* const known = find_stored_dtype(dtype);
  return known == nullptr ? std::nullopt : known->type;
}

SafetensorsFile::SafetensorsFile(std::shared_ptr<const MappedFile> file,
                                 std::shared_ptr<const Header> header, ErrorCode code) noexcept
    : file_(std::move(file)), header_(std::move(header)), code_(code) {}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path, ErrorCode code) {
  auto file = MappedFile::open(path, code);
  auto header = std::make_shared<Header>();
  header->tensors = read_safetensors_header(file->bytes(), path.string(), code, header->metadata);
  header->by_name.reserve(header->tensors.size());
  for (std::size_t i = 0; i < header->tensors.size(); ++i)
    header->by_name.emplace(header->tensors[i].name, i);
  return {std::move(file), std::move(header), code};
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = header_->by_name.find(name);
  return found == header_->by_name.end() ? nullptr : &header_->tensors[found->second];
}

Tensor SafetensorsFile::tensor(std::string_view name, Device& device) const {
  const StoredTensor* const stored = find(name);
  require(stored != nullptr, code_, "tensor \"", name, "\": wanted in the file, found none (",
          path().string(), ")");
  return tensor(*stored, device);
}

Tensor SafetensorsFile::tensor(const StoredTensor& stored, Device& device) const {
  const std::optional<DType> dtype = stored.type();
  require(dtype.has_value(), ErrorCode::Unsupported, "tensor \"", stored.name,
          "\": wanted a dtype the engine computes with, found ", stored.dtype, " (",
          path().string(), ")");
  require(stored.extents.size() <= Shape::kMaxRank, ErrorCode::Unsupported, "tensor \"",
          stored.name, "\": wanted at most ", Shape::kMaxRank, " axes, found ",
          stored.extents.size(), " (", path().string(), ")");

  std::shared_ptr<const void> owner = file_;
  const std::byte* data = file_->bytes().data() + stored.offset;
  if (*dtype == DType::Bool)  // any other byte read as bool is undefined
    require(std::all_of(data, data + stored.bytes, [](std::byte b) { return b <= std::byte{1}; }),
            code_, "tensor \"", stored.name, "\": wanted booleans of 0 and 1, found another byte (",
            path().string(), ")");
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(*dtype) != 0) {
    auto aligned = std::make_shared<std::vector<std::byte>>(data, data + stored.bytes);
    data = aligned->data();
    owner = std::move(aligned);
  }
  return Tensor::over(device.adopt(std::move(owner), data, stored.bytes), 0,
                      Shape(std::span<const std::int64_t>(stored.extents)), *dtype);
}

}  // namespace annulus
