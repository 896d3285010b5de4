#include "apps/cli/run_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <sstream>

#include "base/environment.h"

namespace annulus::cli {

namespace {

constexpr const char* kVariable = "ANNULUS_RUN_PAGE";

/// Of the parent: its process, and the descriptors of the page and of the outputs.
struct Place {
  std::string process, page, out, err;
  std::string path(const std::string& descriptor) const {
    return "/proc/" + process + "/fd/" + descriptor;
  }
};

std::optional<Place> place_of_parent() {
  Place place;
  std::istringstream parts{std::string(environment(kVariable))};
  for (std::string* part : {&place.process, &place.page, &place.out, &place.err})
    if (!std::getline(parts, *part, ':') ||
        part->find_first_not_of("0123456789") != std::string::npos)
      return std::nullopt;
  return place;
}

std::size_t bytes_for(int ranks) {
  return sizeof(RunPageHead) + alignof(RankSlot) +
         static_cast<std::size_t>(ranks) * sizeof(RankSlot);
}

bool takes(int descriptor, const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = dup2(file, descriptor) >= 0;
  close(file);
  return done;
}

}  // namespace

void RunPage::map(int file, std::size_t bytes) {
  memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  require(memory_ != MAP_FAILED, ErrorCode::OutOfMemory, "ranks: wanted ", bytes,
          " bytes of shared memory, found ", std::strerror(errno));
  bytes_ = bytes;
}

RunPage::RunPage(int ranks) : file_(memfd_create("annulus-run", MFD_CLOEXEC)) {
  const std::size_t bytes = bytes_for(ranks);
  require(file_ >= 0 && ftruncate(file_, static_cast<off_t>(bytes)) == 0, ErrorCode::Unsupported,
          "ranks: wanted shared memory, found ", std::strerror(errno));
  map(file_, bytes);
  new (memory_) RunPageHead{ranks, 0};
  for (int rank = 0; rank < ranks; ++rank) new (&slot(rank)) RankSlot;
}

RunPage::~RunPage() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
  if (file_ >= 0) close(file_);
}

std::unique_ptr<RunPage> RunPage::of_parent() {
  const std::optional<Place> place = place_of_parent();
  if (!place) return nullptr;
  const int file = open(place->path(place->page).c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;  // the parent is gone, or may not be looked into: nobody owns us
  std::unique_ptr<RunPage> page(new RunPage);
  page->file_ = file;
  struct stat status = {};
  if (fstat(file, &status) != 0 || status.st_size < static_cast<off_t>(bytes_for(1)))
    return nullptr;
  page->map(file, static_cast<std::size_t>(status.st_size));
  const int ranks = page->ranks();
  if (ranks < 1 || bytes_for(ranks) > page->bytes_) return nullptr;
  return page;
}

std::string RunPage::environment(int out, int err) const {
  return text_of(kVariable, "=", getpid(), ":", file_, ":", out, ":", err);
}

RankSlot& RunPage::slot(int rank) const noexcept {
  constexpr std::size_t kFirst =
      (sizeof(RunPageHead) + alignof(RankSlot) - 1) / alignof(RankSlot) * alignof(RankSlot);
  auto* const first = static_cast<std::byte*>(memory_) + kFirst;
  return *reinterpret_cast<RankSlot*>(first + static_cast<std::size_t>(rank) * sizeof(RankSlot));
}

void put_error(RankSlot& slot, const std::exception& error) noexcept {
  const auto* known = dynamic_cast<const Error*>(&error);
  slot.code = known != nullptr ? static_cast<int>(known->code()) : -1;
  put_text(slot.what, error.what());
  put_text(slot.hint, known != nullptr ? std::string_view(known->hint()) : std::string_view());
  slot.state = RankSlot::Failed;
}

Error error_in(const RankSlot& slot) {
  return {static_cast<ErrorCode>(slot.code), slot.what.data(), slot.hint.data()};
}

void take_parents_outputs() {
  const std::optional<Place> place = place_of_parent();
  if (!place) return;
  takes(STDOUT_FILENO, place->path(place->out));  // where that may not be, mpirun passes it on
  takes(STDERR_FILENO, place->path(place->err));
}

}  // namespace annulus::cli
