#include "comm/mpi/shared_window.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>

#include "base/error.h"

namespace annulus {

namespace {

constexpr std::size_t kKept = 8;  // windows of a peer: two for each of a few groups

class File {
 public:
  explicit File(int descriptor) noexcept : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

std::shared_ptr<std::byte> map_file(const File& file, std::size_t bytes, int protection,
                                    ErrorCode code) {
  void* const data = mmap(nullptr, bytes, protection, MAP_SHARED, file.get(), 0);
  require(data != MAP_FAILED, code, "shared window: wanted ", bytes, " bytes, found ",
          std::strerror(errno));
  return {static_cast<std::byte*>(data), [bytes](std::byte* at) { munmap(at, bytes); }};
}

class SharedWindow final : public Window {
 public:
  SharedWindow(std::size_t bytes, std::uint64_t serial)
      : file_(memfd_create("annulus-shard", MFD_CLOEXEC)), bytes_(bytes), serial_(serial) {
    require(file_.get() >= 0, ErrorCode::Unsupported, "shared window: wanted memfd_create, found ",
            std::strerror(errno), " (--no-shared-memory does without)");
    require(ftruncate(file_.get(), static_cast<off_t>(bytes)) == 0, ErrorCode::OutOfMemory,
            "shared window: wanted ", bytes, " bytes, found ", std::strerror(errno));
    data_ = map_file(file_, bytes, PROT_READ | PROT_WRITE, ErrorCode::OutOfMemory);
  }
  std::byte* data() noexcept override { return data_.get(); }
  std::size_t bytes() const noexcept override { return bytes_; }
  WindowName name() const noexcept override {
    const auto process = static_cast<std::uint64_t>(getpid());
    return {{process << 32 | static_cast<std::uint64_t>(file_.get()), bytes_, serial_}};
  }

 private:
  File file_;
  std::size_t bytes_;
  std::uint64_t serial_;
  std::shared_ptr<std::byte> data_;
};

}  // namespace

std::unique_ptr<Window> make_shared_window(std::size_t bytes, std::uint64_t serial) {
  return std::make_unique<SharedWindow>(bytes, serial);
}

std::shared_ptr<const std::byte> SharedWindows::map(int peer, const WindowName& name,
                                                    std::size_t bytes) {
  std::list<Mapped>& kept = mapped_[peer];
  for (auto at = kept.begin(); at != kept.end(); ++at)
    if (at->name.words == name.words) {
      kept.splice(kept.begin(), kept, at);
      return kept.front().data;
    }
  const std::size_t size = name.words[1];
  const std::string path = text_of("/proc/", name.words[0] >> 32, "/fd/", name.words[0] & UINT_MAX);
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  require(file.get() >= 0 && size >= bytes, ErrorCode::PeerFailure, "rank ", peer,
          ": wanted its window of ", bytes, " bytes, found ", std::strerror(errno), " (", path,
          ")");
  kept.push_front({name, map_file(file, size, PROT_READ, ErrorCode::OutOfMemory)});
  if (kept.size() > kKept) kept.pop_back();
  return kept.front().data;
}

std::string host_identity() {
  std::string identity;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> identity;
  std::array<char, 256> text{};
  if (gethostname(text.data(), text.size() - 1) == 0) identity += text.data();
  text = {};
  if (readlink("/proc/self/ns/pid", text.data(), text.size() - 1) > 0) identity += text.data();
  return identity;
}

}  // namespace annulus
