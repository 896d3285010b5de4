#include "io/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "io/test_folder.h"

namespace annulus {
namespace {

Json model(std::string_view text) {
  return Json::parse(text, "config.json", ErrorCode::CorruptFile);
}

std::string message_of(std::string_view text) {
  return error_of(ErrorCode::CorruptFile, [&] { model(text); });
}

TEST(JsonTest, ValuesOfEveryKindAreReadAsWritten) {
  const Json j = model(
      R"({"a": 3, "b": -2.5e1, "c": "x\u00e9\ud83d\ude00", "d": [1, 2, 3], "e": null, "f": true,
                           "g": {"h": {"i": 7}}, "big": 18446744073709551615, "whole": 2.0})");
  EXPECT_EQ(j.get<int>("a"), 3);
  EXPECT_EQ(j.get<double>("b"), -25.0);
  EXPECT_EQ(j.get<std::string>("c"), "x\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(j.get<std::vector<std::int64_t>>("d"), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(j.get<float>("e", 4.5f), 4.5f);  // null is Python's None: the default
  EXPECT_EQ(j.get<int>("absent", 9), 9);
  EXPECT_TRUE(j.get<bool>("f"));
  EXPECT_EQ(j["g"]["h"].get<std::int64_t>("i"), 7);
  EXPECT_EQ(j.get<std::uint64_t>("big"), UINT64_MAX);
  EXPECT_EQ(j.get<int>("whole"), 2);
  EXPECT_FALSE(j.find("e"));
  EXPECT_TRUE(j.has("e"));
  EXPECT_FALSE(j.has("absent"));
  EXPECT_EQ(j.get<Json>("g").path(), "g");
}

TEST(JsonTest, IterationIsInFileOrder) {
  const Json j = model(R"({"z": 1, "a": 2, "m": [3, 4]})");
  std::string keys;
  for (const auto& [key, value] : j.members()) keys += key;
  EXPECT_EQ(keys, "zam");
  int sum = 0;
  for (const Json& x : j["m"].elements()) sum += x.as<int>();
  EXPECT_EQ(sum, 7);
}

TEST(JsonTest, ErrorsNamePathWantedFoundAndFile) {
  const Json j = model(R"({"text_config": {"layers": ["full", 3]}, "n": 300, "neg": -1})");
  const auto what = [](const auto& run) { return error_of(ErrorCode::CorruptFile, run); };
  EXPECT_EQ(what([&] { j["text_config"].get<std::vector<std::string>>("layers"); }),
            "text_config.layers[1]: wanted a string, found 3 (config.json)");
  EXPECT_EQ(what([&] { j["text_config"].get<int>("hidden"); }),
            "text_config: wanted the key \"hidden\", found no such key (config.json)");
  EXPECT_EQ(what([&] { j["n"]["x"]; }), "n: wanted an object, found 300 (config.json)");
  EXPECT_EQ(what([&] { j.get<std::int8_t>("n"); }),
            "n: wanted an integer from -128 to 127, found 300 (config.json)");
  EXPECT_EQ(what([&] { j.get<std::uint32_t>("neg"); }),
            "neg: wanted an integer from 0 to 4294967295, found -1 (config.json)");
  EXPECT_EQ(what([&] { j["text_config"]["layers"].at(2); }),
            "text_config.layers: wanted at least 3 elements, found a list of 2 (config.json)");
}

TEST(JsonTest, WhatIsNotJsonIsRefusedWithLineAndColumn) {
  EXPECT_NE(message_of("{\"a\": 1,\n \"b\" 2}").find("(config.json, line 2, column 7)"),
            std::string::npos)
      << message_of("{\"a\": 1,\n \"b\" 2}");
  for (const char* text :
       {"",      "{",          "[1,]",        "{\"a\":1} x", "{'a':1}", "01",
        "1.",    "\"\\x\"",    "\"\x01\"",    "\"\xff\"",    "nul",     "[1 2]",
        "1e999", "-",          "\"\\ud800\"", "{\"a\":1,}",  "NaNNaN",  "[Infinity1]",
        "-NaN",  "--Infinity", "// x\n1"})
    EXPECT_NE(message_of(text).find("JSON: wanted a valid document, found "), std::string::npos)
        << text;
}

TEST(JsonTest, AKeyTwiceIsRefusedInSmallAndLargeObjects) {
  EXPECT_NE(message_of(R"({"a": {"b": 1, "b": 2}})").find("key \"b\" twice"), std::string::npos);
  std::string large = "{";
  for (int i = 0; i < 1000; ++i)
    large += "\"k" + std::to_string(i) + "\": " + std::to_string(i) + ", ";
  const Json j = model(large + "\"last\": 0}");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(j.get<int>("k" + std::to_string(i)), i);
  EXPECT_FALSE(j.has("k1000"));
  EXPECT_NE(message_of(large + "\"k500\": 1}").find("key \"k500\" twice"), std::string::npos);
}

TEST(JsonTest, DepthSizeAndCountAreBounded) {
  const auto refused = [](const std::string& text, const JsonLimits& limits) {
    return error_of(ErrorCode::InvalidRequest,
                    [&] { Json::parse(text, "the request", ErrorCode::InvalidRequest, limits); });
  };
  const std::string deep = std::string(100000, '[');
  EXPECT_NE(refused(deep, {}).find("more than 64 levels"), std::string::npos);
  EXPECT_NO_THROW(model(std::string(64, '[') + std::string(64, ']')));
  EXPECT_NE(refused("[1,2,3]", {.bytes = 6}).find("at most 6 bytes, found 7"), std::string::npos);
  EXPECT_NE(refused("[1,2,3]", {.values = 3}).find("more than 3 values"), std::string::npos);
  EXPECT_NO_THROW(Json::parse("[1,2,3]", "", ErrorCode::InvalidRequest, {.values = 4}));
}

TEST(JsonTest, PythonsNonFiniteNumbersAreRead) {
  const Json j = model(
      R"({"NaN": "Infinity \" -Infinity", "a": -Infinity, "b": [1, Infinity, -2e-3, NaN, 4]})");
  EXPECT_EQ(j.get<double>("a"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(j.get<std::string>("NaN"), "Infinity \" -Infinity");
  const auto b = j.get<std::vector<double>>("b");
  EXPECT_EQ(b[0], 1);
  EXPECT_EQ(b[1], std::numeric_limits<double>::infinity());
  EXPECT_EQ(b[2], -2e-3);
  EXPECT_TRUE(std::isnan(b[3]));
  EXPECT_EQ(b[4], 4);
}

TEST(JsonTest, WhatIsBuiltIsWhatIsRead) {
  Json report = Json::object(
      {{"version", "0.1"}, {"seed", UINT64_MAX}, {"seconds", Json::object({{"load", 0.1f}})}});
  report.set("steps", std::vector<double>{0.5, 1e-7}).set("ok", true).set("none", Json());
  const Json before = report;
  Json outputs;
  outputs.push(Json::object({{"file", "a\"\n\xc3\xa9.png"}})).push(-1);
  report.set("outputs", outputs).set("version", "0.2");
  EXPECT_FALSE(before.has("outputs"));
  EXPECT_EQ(before.get<std::string>("version"), "0.1");
  EXPECT_EQ(report.dump(),
            "{\"version\":\"0.2\",\"seed\":18446744073709551615,\"seconds\":{\"load\":0.1},"
            "\"steps\":[0.5,1e-07],\"ok\":true,\"none\":null,"
            "\"outputs\":[{\"file\":\"a\\\"\\n\xc3\xa9.png\"},-1]}");
  EXPECT_EQ(model(report.dump(2)), report);
  EXPECT_FALSE(model(before.dump()) == report);
  EXPECT_EQ(Json("\xff").dump(), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(Json(std::nan("")).dump(), "null");
}

TEST(JsonTest, AChildOutlivesItsParent) {
  const Json child = model(R"({"a": {"b": "still here"}})")["a"]["b"];
  EXPECT_EQ(child.as<std::string>(), "still here");
  EXPECT_EQ(child.path(), "a.b");
}

TEST(JsonTest, AMissingFileIsNamed) {
  const std::string what = error_of(
      ErrorCode::CorruptFile, [] { Json::read("/nowhere/config.json", ErrorCode::CorruptFile); });
  EXPECT_EQ(what, "file: wanted a JSON file, found none (/nowhere/config.json)");
  EXPECT_NE(error_of(ErrorCode::NotFound, [] { Json::read("/", ErrorCode::NotFound); })
                .find("something else"),
            std::string::npos);
}

}  // namespace
}  // namespace annulus
