// `annulus attention`: what a case's file may say.
#include <gtest/gtest.h>

#include "io/safetensors.h"
#include "program.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus::test {
namespace {

class AttentionCase : public ::testing::Test {
 protected:
  Tensor numbers(const Shape& shape) {
    Tensor x = Tensor::empty(shape, DType::F32, host);
    host.fill(*stream, x, 0.5);
    return x;
  }

  Tensor integers(const std::vector<std::int64_t>& values) {
    Tensor x = Tensor::empty({static_cast<std::int64_t>(values.size())}, DType::I64, host);
    std::copy(values.begin(), values.end(), x.data<std::int64_t>());
    return x;
  }

  Finished run(const std::map<std::string, Tensor>& tensors) {
    write_safetensors(folder / "in.safetensors", tensors);
    return run_program({"attention", "in.safetensors", "--output", "out.safetensors"},
                       {.folder = folder.path()});
  }

  void expect_refused(const std::map<std::string, Tensor>& tensors, const std::string& part) {
    const Finished refused = run(tensors);
    EXPECT_EQ(refused.status, 2) << refused.err;
    EXPECT_NE(refused.err.find("annulus: error: " + part), std::string::npos) << refused.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "out.safetensors"));
  }

  HostDevice host{1};
  std::unique_ptr<Stream> stream = host.make_stream();
  ScratchFolder folder;
  static constexpr std::int64_t kTwoTo32 = std::int64_t{1} << 32;
};

TEST_F(AttentionCase, LengthsOfAnyIntegerTypeAreTaken) {
  const Tensor x = numbers({1, 3, 1, 8});
  EXPECT_EQ(run({{"q", x}, {"k", x}, {"v", x}, {"kv_lens", integers({2})}}).status, 0);
}

TEST_F(AttentionCase, LengthsPast32BitsAreRefusedByTheirNameInTheFile) {
  const Tensor x = numbers({1, 3, 1, 8});
  for (const std::int64_t length : {kTwoTo32 + 3, kTwoTo32, std::int64_t{-1}, std::int64_t{4}})
    expect_refused({{"q", x}, {"k", x}, {"v", x}, {"kv_lens", integers({length})}},
                   "kv_lens: wanted 0 to 3, found " + std::to_string(length));
}

TEST_F(AttentionCase, CumulativeLengthsPast32BitsAreRefused) {
  const Tensor x = numbers({7, 1, 8});
  const Tensor good = integers({0, 3, 7}), bad = integers({0, 3, kTwoTo32 + 7});
  EXPECT_EQ(
      run({{"q", x}, {"k", x}, {"v", x}, {"cu_seqlens_q", good}, {"cu_seqlens_k", good}}).status,
      0);
  std::filesystem::remove(folder / "out.safetensors");
  expect_refused({{"q", x}, {"k", x}, {"v", x}, {"cu_seqlens_q", good}, {"cu_seqlens_k", bad}},
                 "cu_seqlens_k: wanted 0 to 7, found 4294967303");
  expect_refused({{"q", x}, {"k", x}, {"v", x}, {"cu_seqlens_q", bad}, {"cu_seqlens_k", good}},
                 "cu_seqlens_q: wanted 0 to 7, found 4294967303");
}

TEST_F(AttentionCase, StartLatentsOfWholeNumbersAreRefused) {
  Tensor latents = Tensor::empty({1, 64, 64}, DType::I32, host);
  host.fill(*stream, latents, 1);
  write_safetensors(folder / "l.safetensors", {{"latents", latents}});
  const Finished refused =
      run_program({"generate", "a cat", "--latents", "l.safetensors"}, {.folder = folder.path()});
  EXPECT_EQ(refused.status, 2) << refused.err;
  EXPECT_NE(refused.err.find("--latents: wanted a floating type, found i32"), std::string::npos)
      << refused.err;
}

}  // namespace
}  // namespace annulus::test
