#include "io/read_file.h"

#include <cstdint>
#include <fstream>
#include <system_error>

namespace annulus {

std::vector<std::byte> read_file(const std::filesystem::path& file, std::size_t limit,
                                 ErrorCode code) {
  std::error_code problem;
  const auto status = std::filesystem::status(file, problem);
  require(std::filesystem::exists(status),
          code == ErrorCode::InvalidRequest ? ErrorCode::NotFound : code,
          "file: wanted one to read, found none (", file.string(), ")");
  require(std::filesystem::is_regular_file(status), code,
          "file: wanted a regular file, found a folder or device (", file.string(), ")");
  const std::uintmax_t size = std::filesystem::file_size(file, problem);
  require(!problem, code, "file: wanted its size, found ", problem.message(), " (", file.string(),
          ")");
  require(size <= limit, code, "file: wanted at most ", limit, " bytes, found ", size, " (",
          file.string(), ")");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  require(static_cast<std::uintmax_t>(in.gcount()) == size, code, "file: wanted ", size,
          " bytes, found ", in.gcount(), " readable (", file.string(), ")");
  return bytes;
}

}  // namespace annulus
