#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace annulus {

namespace {

struct Descriptor {
  int value;
  explicit Descriptor(int descriptor) noexcept : value(descriptor) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

std::string reason() {
  return std::generic_category().message(errno);
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path, const std::byte* data,
                       std::size_t bytes) noexcept
    : path_(std::move(path)), data_(data), bytes_(bytes) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), bytes_);
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path,
                                                   ErrorCode code) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  require(file.value >= 0, code, "file: wanted a readable file, found ", reason(), " (",
          path.string(), ")");
  struct stat status = {};
  require(::fstat(file.value, &status) == 0, code, "file: wanted its size, found ", reason(), " (",
          path.string(), ")");
  require(S_ISREG(status.st_mode), code, "file: wanted a regular file, found something else (",
          path.string(), ")");
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* data = nullptr;
  if (bytes != 0) {
    data = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.value, 0);
    require(data != MAP_FAILED, code, "file: wanted to map ", bytes, " bytes, found ", reason(),
            " (", path.string(), ")");
  }
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const std::byte*>(data), bytes));
}

}  // namespace annulus
