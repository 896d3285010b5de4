#include "io/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

#include "io/test_folder.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return text_of("{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":", offsets,
                 "}");
}

class SafetensorsTest : public ::testing::Test {
 protected:
  std::string refusal(std::string_view header, std::string_view data = "") {
    return refusal_of(safetensors_text(header, data));
  }
  std::string refusal_of(std::string_view content) {
    const auto file = folder.write("bad.safetensors", content);
    const std::string what = error_of(ErrorCode::CorruptFile, [&] { SafetensorsFile::open(file); });
    EXPECT_NE(what.find(file.string()), std::string::npos) << what;
    return what;
  }
  // `what` must hold `part`.
  static void expect_part(const std::string& what, std::string_view part) {
    EXPECT_NE(what.find(part), std::string::npos) << what << "\nwithout: " << part;
  }
  SafetensorsFile open(std::string_view header, std::string_view data) {
    return SafetensorsFile::open(folder.write("good.safetensors", safetensors_text(header, data)));
  }

  TestFolder folder;
  HostDevice device{1};
};

TEST_F(SafetensorsTest, TensorsAreReadInPlace) {
  std::string data(16, '\0');
  const std::array<float, 3> floats = {1.5f, -2.0f, 3.25f};
  std::memcpy(data.data(), floats.data(), 12);
  data[12] = 1;
  data[14] = 7;
  std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"},\"flag\":" + entry("BOOL", "[2]", "[12,14]") +
      ",\"x\":" + entry("F32", "[3,1]", "[0,12]") + ",\"s\":" + entry("U8", "[]", "[14,15]") +
      ",\"none\":" + entry("F16", "[0,4]", "[12,12]") + ",\"z\":" + entry("I8", "[1]", "[15,16]") +
      "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const SafetensorsFile file = open(header, data);
  ASSERT_EQ(file.tensors().size(), 5u);
  EXPECT_EQ(file.tensors()[0].name, "x");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("y"), nullptr);

  const Tensor x = file.tensor("x", device);
  EXPECT_EQ(x.shape(), (Shape{3, 1}));
  EXPECT_EQ((x.view<const float, 2>()(2, 0)), 3.25f);
  EXPECT_EQ(file.tensor("x", device).address(), x.address());
  EXPECT_FALSE(x.buffer()->writable);
  EXPECT_EQ(device.memory().in_use, 0u);
  EXPECT_TRUE((file.tensor("flag", device).view<const bool, 1>()(0)));
  EXPECT_EQ((file.tensor("s", device).view<const std::uint8_t, 0>()()), 7);
  EXPECT_EQ(file.tensor("none", device).elements(), 0);
}

TEST_F(SafetensorsTest, ATensorOutlivesItsFile) {
  Tensor x;
  {
    const SafetensorsFile file = open("{\"x\":" + entry("U8", "[2]", "[0,2]") + "}", "ab");
    x = file.tensor("x", device);
  }
  EXPECT_EQ((x.view<const std::uint8_t, 1>()(1)), 'b');
}

TEST_F(SafetensorsTest, UnalignedTensorsAreReadable) {
  for (int shift = 0; shift < 8; ++shift) {
    const double value = 0.1 + shift;
    std::string data(8, '\0');
    std::memcpy(data.data(), &value, 8);
    const std::string header = "{" + std::string(static_cast<std::size_t>(shift), ' ') +
                               "\"x\":" + entry("F64", "[1]", "[0,8]") + "}";
    const Tensor x = open(header, data).tensor("x", device);
    EXPECT_EQ((x.view<const double, 1>()(0)), value) << shift;
  }
}

TEST_F(SafetensorsTest, TruncationAnywhereIsRefused) {
  const std::string whole =
      safetensors_text("{\"x\":" + entry("F32", "[2]", "[0,8]") + "}", "01234567");
  for (std::size_t size = 0; size < whole.size(); ++size) refusal_of(whole.substr(0, size));
  expect_part(refusal_of(""), "wanted 8 bytes of length, found a file of 0 bytes");
  expect_part(refusal_of(whole.substr(0, whole.size() - 1)),
              "tensor \"x\": wanted data_offsets within the 7 bytes");
  expect_part(refusal_of(whole + "y"), "found 1 trailing bytes");
}

TEST_F(SafetensorsTest, HeaderLengthsAreChecked) {
  expect_part(refusal_of(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)),
              "wanted at most 100000000 bytes, found a length of 18446744073709551615");
  expect_part(refusal_of(std::string("\x03\0\0\0\0\0\0\0{}", 10)),
              "wanted 3 bytes after the length, found 2");
  expect_part(refusal(""), "found an empty header");
  expect_part(refusal(" {}"), "wanted a JSON object that begins at byte 8");
  expect_part(refusal("[]"), "wanted a JSON object that begins at byte 8");
  EXPECT_TRUE(open("{}", "").tensors().empty());
  EXPECT_TRUE(open("{}   ", "").tensors().empty());
}

TEST_F(SafetensorsTest, HeadersThatAreNotStrictJsonAreRefused) {
  expect_part(refusal("{\"x\":"), "JSON");
  expect_part(refusal("{} {}"), "JSON");
  expect_part(refusal("{\"\xff\":1}"), "JSON");
  expect_part(refusal("{\"x\":{\"x\":{\"x\":{\"x\":{}}}}}"), "more than 4 levels");
  const std::string x = "\"x\":" + entry("U8", "[0]", "[0,0]");
  expect_part(refusal("{" + x + "," + x + "}"), "key \"x\" twice");
  expect_part(
      refusal("{\"x\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"),
      "key \"dtype\" twice");
  expect_part(refusal("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}"), "key \"a\" twice");
}

TEST_F(SafetensorsTest, MetadataAreStringsOnly) {
  expect_part(refusal("{\"__metadata__\":{\"a\":1}}"), "__metadata__.a: wanted a string, found 1");
  expect_part(refusal("{\"__metadata__\":[]}"), "__metadata__: wanted an object");
  expect_part(refusal("{\"__metadata__\":null}"), "__metadata__: wanted an object");
}

TEST_F(SafetensorsTest, EntriesOfAnotherFormAreRefused) {
  for (const char* e :
       {"1", "[]", "null", "{}", "{\"dtype\":\"U8\",\"shape\":[0]}",
        "{\"dtype\":\"U8\",\"data_offsets\":[0,0]}", "{\"shape\":[0],\"data_offsets\":[0,0]}",
        "{\"dtype\":8,\"shape\":[0],\"data_offsets\":[0,0]}",
        "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"more\":1}"})
    expect_part(refusal(text_of("{\"x\":", e, "}")), "tensor \"x\": wanted ");
  expect_part(refusal("{\"x\":" + entry("F31", "[0]", "[0,0]") + "}"),
              "wanted a dtype of the format, found \"F31\"");
  for (const char* shape : {"3", "null", "{}", "\"[0]\"", "[-1]", "[0.5]", "[1.0]", "[\"1\"]",
                            "[null]", "[18446744073709551615]", "[true]"})
    expect_part(refusal("{\"x\":" + entry("U8", shape, "[0,1]") + "}", "y"),
                "tensor \"x\": wanted ");
  for (const char* offsets :
       {"0", "[]", "[0]", "[0,1,2]", "[-1,0]", "[1,0]", "[0,0.5]", "[0,2]", "[1,2]",
        "[0,18446744073709551615]", "[18446744073709551615,18446744073709551615]", "[\"0\",\"1\"]",
        "{\"0\":0,\"1\":1}"})
    expect_part(refusal("{\"x\":" + entry("U8", "[1]", offsets) + "}", "y"), "data_offsets");
}

TEST_F(SafetensorsTest, SizesThatOverflowAreRefused) {
  for (const char* shape :
       {"[4611686018427387904,4]", "[4294967296,4294967296]", "[2147483648,2147483648,4]",
        "[4611686018427387904]", "[0,4294967296,4294967296]", "[4294967296,0,4294967296]"})
    expect_part(refusal("{\"x\":" + entry("F32", shape, "[0,0]") + "}"),
                "wanted a size in whole bytes below 2^60");
}

TEST_F(SafetensorsTest, SizesThatContradictShapeAndDtypeAreRefused) {
  expect_part(refusal("{\"x\":" + entry("F32", "[2]", "[0,4]") + "}", "0123"),
              "wanted 8 bytes for shape [2] of F32, found data_offsets [0,4]");
  expect_part(refusal("{\"x\":" + entry("F4", "[3]", "[0,2]") + "}", "01"),
              "wanted a size in whole bytes");
  expect_part(refusal("{\"x\":" + entry("U8", "[]", "[0,0]") + "}"), "wanted 1 bytes for shape []");
}

TEST_F(SafetensorsTest, OverlapsAndHolesAreRefused) {
  const auto two = [](std::string_view a, std::string_view b) {
    return "{\"a\":" + entry("U8", "[2]", a) + ",\"b\":" + entry("U8", "[2]", b) + "}";
  };
  expect_part(refusal(two("[0,2]", "[1,3]"), "012"),
              "tensor \"b\": wanted bytes of its own, found an overlap of 1 bytes with \"a\"");
  expect_part(refusal(two("[0,2]", "[0,2]"), "01"), "overlap of 2 bytes");
  expect_part(refusal(two("[3,5]", "[0,2]"), "01234"),
              "tensor \"a\": wanted its bytes right after \"b\", found a hole of 1 bytes");
  expect_part(refusal(two("[1,3]", "[3,5]"), "01234"),
              "right after \"the header\", found a hole of 1 bytes");
  expect_part(refusal(two("[0,2]", "[2,4]"), "01234"), "found 1 trailing bytes");
  expect_part(refusal("{\"a\":" + entry("U8", "[2]", "[0,2]") +
                          ",\"b\":" + entry("U8", "[0]", "[1,1]") + "}",
                      "01"),
              "overlap");
}

TEST_F(SafetensorsTest, ADtypeWithoutArithmeticIsRefusedOnlyWhenAskedFor) {
  const SafetensorsFile file =
      open("{\"a\":" + entry("F8_E4M3", "[2]", "[0,2]") + ",\"b\":" + entry("U8", "[1]", "[2,3]") +
               ",\"c\":" + entry("F4", "[4]", "[3,5]") +
               ",\"d\":" + entry("U8", "[1,1,1,1,1,1,1,1,1]", "[5,6]") + "}",
           "012345");
  EXPECT_EQ((file.tensor("b", device).view<const std::uint8_t, 1>()(0)), '2');
  expect_part(error_of(ErrorCode::Unsupported, [&] { file.tensor("a", device); }),
              "tensor \"a\": wanted a dtype the engine computes with, found F8_E4M3");
  expect_part(error_of(ErrorCode::Unsupported, [&] { file.tensor("d", device); }), "found 9");
  expect_part(error_of(ErrorCode::CorruptFile, [&] { file.tensor("e", device); }),
              "tensor \"e\": wanted in the file, found none");
}

TEST_F(SafetensorsTest, BooleansOtherThanZeroAndOneAreRefused) {
  const SafetensorsFile file =
      open("{\"a\":" + entry("BOOL", "[2]", "[0,2]") + "}", std::string("\1\2", 2));
  expect_part(error_of(ErrorCode::CorruptFile, [&] { file.tensor("a", device); }),
              "wanted booleans of 0 and 1");
}

TEST_F(SafetensorsTest, AbsentFilesAndFoldersAreRefused) {
  expect_part(
      error_of(ErrorCode::InvalidRequest,
               [&] { SafetensorsFile::open(folder.path() / "no", ErrorCode::InvalidRequest); }),
      "No such file");
  expect_part(error_of(ErrorCode::CorruptFile, [&] { SafetensorsFile::open(folder.path()); }),
              "wanted a regular file");
  const auto fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  expect_part(error_of(ErrorCode::CorruptFile, [&] { SafetensorsFile::open(fifo); }),
              "wanted a regular file");
}

TEST_F(SafetensorsTest, WhatIsWrittenIsWhatIsRead) {
  Tensor a = Tensor::empty({2, 3}, DType::F32, device);
  for (int i = 0; i < 6; ++i) a.data<float>()[i] = static_cast<float>(i);
  Tensor b = Tensor::empty({3}, DType::Bool, device);
  for (int i = 0; i < 3; ++i) b.data<bool>()[i] = i == 1;
  Tensor c = Tensor::empty({}, DType::I64, device);
  c.data<std::int64_t>()[0] = -5;
  const Tensor empty = Tensor::empty({0, 7}, DType::BF16, device);
  const auto path = folder.path() / "out.safetensors";
  write_safetensors(path, {{"a", a.permute({1, 0})}, {"b", b}, {"c", c}, {"empty", empty}},
                    {{"note", "x \"y\""}});
  write_safetensors(path, {{"a", a.permute({1, 0})}, {"b", b}, {"c", c}, {"empty", empty}},
                    {{"note", "x \"y\""}});  // replaces
  EXPECT_EQ(folder.files(), 1u);

  const SafetensorsFile file = SafetensorsFile::open(path);
  EXPECT_EQ(file.metadata().at("note"), "x \"y\"");
  const Tensor read = file.tensor("a", device);
  ASSERT_EQ(read.shape(), (Shape{3, 2}));
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 2; ++j)
      EXPECT_EQ((read.view<const float, 2>()(i, j)), static_cast<float>(3 * j + i));
  EXPECT_TRUE((file.tensor("b", device).view<const bool, 1>()(1)));
  EXPECT_EQ((file.tensor("c", device).view<const std::int64_t, 0>()()), -5);
  EXPECT_EQ(file.tensor("empty", device).shape(), (Shape{0, 7}));
  for (const StoredTensor& stored : file.tensors())
    EXPECT_EQ(stored.offset % size_of(*stored.type()), 0u);
}

TEST_F(SafetensorsTest, AFailedWriteLeavesNothingBehind) {
  const Tensor x = Tensor::empty({4}, DType::F32, device);
  expect_part(error_of(ErrorCode::InvalidRequest,
                       [&] {
                         write_safetensors(folder.path() / "no" / "x", {{"x", x}});
                       }),
              "No such file");
  std::filesystem::create_directories(folder.path() / "target");
  error_of(ErrorCode::InvalidRequest, [&] {
    write_safetensors(folder.path() / "target", {{"x", x}});
  });
  EXPECT_EQ(folder.files(), 1u);
  error_of(ErrorCode::InvalidRequest, [&] {
    write_safetensors(folder.path() / "y", {{"__metadata__", x}});
  });
  error_of(ErrorCode::InvalidRequest, [&] {
    write_safetensors(folder.path() / "y", {{"undefined", Tensor()}});
  });
  EXPECT_EQ(folder.files(), 1u);
}

}  // namespace
}  // namespace annulus
