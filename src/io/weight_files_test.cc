#include "io/weight_files.h"

#include <gtest/gtest.h>

#include "io/test_folder.h"

namespace annulus {
namespace {

std::string one_tensor(std::string_view name) {
  return safetensors_text(
      text_of("{\"", name, "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"), "0123");
}

std::string index_of(std::string_view map) {
  return text_of("{\"metadata\":{},\"weight_map\":", map, "}");
}

class WeightFilesTest : public ::testing::Test {
 protected:
  std::string refusal(std::string_view variant = {}) {
    return error_of(ErrorCode::CorruptFile, [&] { WeightFiles::open(folder.path(), variant); });
  }
  static void expect_part(const std::string& what, std::string_view part) {
    EXPECT_NE(what.find(part), std::string::npos) << what << "\nwithout: " << part;
  }
  TestFolder folder;
};

TEST_F(WeightFilesTest, WholeFilesOfBothLibrariesAreFound) {
  for (const char* name : {"diffusion_pytorch_model.safetensors", "model.safetensors"}) {
    const TestFolder own;
    own.write(name, one_tensor("a"));
    EXPECT_EQ(WeightFiles::open(own.path()).names().size(), 1u);
  }
}

TEST_F(WeightFilesTest, VariantsAreTakenOnlyWhenAskedFor) {
  folder.write("model.fp16.safetensors", one_tensor("half"));
  expect_part(refusal(), "wanted one of diffusion_pytorch_model.safetensors.index.json, ");
  folder.write("model.safetensors", one_tensor("full"));
  EXPECT_NE(WeightFiles::open(folder.path()).find("full"), nullptr);
  EXPECT_NE(WeightFiles::open(folder.path(), "fp16").find("half"), nullptr);
  expect_part(refusal("bf16"), "model.bf16.safetensors");
}

TEST_F(WeightFilesTest, ShardsAreOneComponent) {
  folder.write("model-1.safetensors", one_tensor("a"));
  folder.write("model-2.safetensors", one_tensor("b"));
  folder.write("model.safetensors.index.json",
               index_of(R"({"b":"model-2.safetensors","a":"model-1.safetensors"})"));
  const WeightFiles files = WeightFiles::open(folder.path());
  ASSERT_EQ(files.names().size(), 2u);
  EXPECT_EQ(files.names()[0], "a");
  EXPECT_EQ(files.file_of("b").path().filename(), "model-2.safetensors");
  EXPECT_EQ(files.find("c"), nullptr);
  const WeightStatistics statistics = files.statistics();
  EXPECT_EQ(statistics.files, 2u);
  EXPECT_EQ(statistics.tensors, 2u);
  EXPECT_EQ(statistics.bytes, 8u);
  EXPECT_EQ(statistics.bytes_by_dtype.at("F32"), 8u);
  EXPECT_EQ(files.dtype(), DType::F32);
}

TEST_F(WeightFilesTest, AnIndexThatDoesNotFitItsShardsIsRefused) {
  folder.write("model-1.safetensors", one_tensor("a"));
  folder.write("model-2.safetensors", one_tensor("b"));
  const auto with = [&](std::string_view map) {
    folder.write("model.safetensors.index.json", index_of(map));
    return refusal();
  };
  expect_part(with(R"({"a":"model-1.safetensors","c":"model-1.safetensors"})"),
              "tensor \"c\": wanted as the index says, found none");
  expect_part(with(R"({"b":"model-1.safetensors","a":"model-2.safetensors"})"),
              "found in another shard");
  expect_part(with(R"({"a":"model-1.safetensors","b":"model-1.safetensors"})"),
              "tensor \"b\": wanted as the index says, found none");
  expect_part(with(R"({"x":"model-1.safetensors"})"), "tensor \"a\": wanted in the index");
  expect_part(with(R"({"a":"model-3.safetensors"})"),
              "wanted model-3.safetensors, found no such file");
  folder.write("model-3.safetensors", one_tensor("a"));
  expect_part(
      with(R"({"a":"model-1.safetensors","b":"model-2.safetensors","c":"model-3.safetensors"})"),
      "another shard");
}

TEST_F(WeightFilesTest, AnIndexOfAnotherFormIsRefused) {
  const auto with = [&](std::string_view text) {
    folder.write("diffusion_pytorch_model.safetensors.index.json", text);
    return refusal();
  };
  expect_part(with("{}"), "weight_map");
  expect_part(with("[]"), "wanted an object");
  expect_part(with(index_of("{}")), "wanted at least one tensor");
  expect_part(with(index_of("[]")), "wanted an object");
  expect_part(with(index_of(R"({"a":1})")), "weight_map.a: wanted a string");
  expect_part(with(index_of(R"({"a":"../x.safetensors"})")),
              "weight_map.a: wanted the name of a .safetensors file beside");
  expect_part(with(index_of(R"({"a":"/x.safetensors"})")), "weight_map.a: wanted the name of");
  expect_part(with(index_of(R"({"a":"x.bin"})")), "weight_map.a: wanted the name of");
  expect_part(with(index_of(R"({"a":"x.safetensors","a":"x.safetensors"})")), "key \"a\" twice");
}

TEST_F(WeightFilesTest, PickledWeightsAreNamedInTheHint) {
  folder.write("pytorch_model.bin", "x");
  try {
    WeightFiles::open(folder.path());
    FAIL();
  } catch (const Error& error) {
    expect_part(error.hint(), "pytorch_model.bin is there: pickled weights are not read");
  }
}

TEST_F(WeightFilesTest, AnAbsentFolderIsNamed) {
  expect_part(error_of(ErrorCode::CorruptFile, [&] { WeightFiles::open(folder.path() / "vae"); }),
              "wanted a component's folder, found none");
}

}  // namespace
}  // namespace annulus
