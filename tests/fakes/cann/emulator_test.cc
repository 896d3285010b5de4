// What the emulator must notice: each rule of the ABI broken once, by calls of the ABI alone.
#include "platform/ascend/emulator.h"

#include <fcntl.h>
#include <unistd.h>

#include <thread>

namespace annulus::ascend {
namespace {

using namespace cann;

class EmulatorTest : public ::testing::Test {
 protected:
  EmulatorTest() {
    emulator.allow_problems();
    api.aclInit(nullptr);
    api.aclrtSetDevice(0);
    api.aclrtCreateStream(&stream);
  }
  ~EmulatorTest() override {
    api.aclrtSynchronizeStream(stream);
    for (void* block : blocks) api.aclrtFree(block);
    api.aclrtDestroyStream(stream);
    api.aclrtResetDevice(0);
    api.aclFinalize();
  }

  void* allocate(std::size_t bytes) {
    void* made = nullptr;
    EXPECT_EQ(api.aclrtMalloc(&made, bytes, ACL_MEM_MALLOC_HUGE_FIRST), 0);
    blocks.push_back(made);
    return made;
  }
  void release(void* block) {
    std::erase(blocks, block);
    EXPECT_EQ(api.aclrtFree(block), 0);
  }
  aclTensor* tensor(const std::vector<std::int64_t>& dims, aclDataType type, void* data) {
    return api.aclCreateTensor(dims.data(), dims.size(), type, nullptr, 0, ACL_FORMAT_ND,
                               dims.data(), dims.size(), data);
  }
  void expect_problem(const std::string& text) {
    const std::string found = emulator.problems();
    EXPECT_NE(found.find(text), std::string::npos) << "found: " << found;
  }

  Emulator emulator{{"FAKE_CANN_DELAY_US", "2000"}};
  CannApi api = CannApi::load();
  aclrtStream stream = nullptr;
  std::vector<void*> blocks;
};

TEST_F(EmulatorTest, TheHostCannotReadDeviceMemory) {
  const int null = open("/dev/zero", O_RDONLY);
  EXPECT_EQ(read(null, allocate(64), 1), -1);  // EFAULT
  close(null);
}

TEST_F(EmulatorTest, MemoryFreedUnderQueuedWorkIsNoticed) {
  void* const block = allocate(256);
  for (int i = 0; i < 3; ++i) api.aclrtMemsetAsync(block, 256, i, 256, stream);
  release(block);
  expect_problem("memory freed while queued work uses it");
}

TEST_F(EmulatorTest, UseAfterFreeIsRefused) {
  void* const block = allocate(256);
  release(block);
  EXPECT_NE(api.aclrtMemsetAsync(block, 256, 0, 256, stream), 0);
  expect_problem("not allocated (any more)");
}

TEST_F(EmulatorTest, AnExecutorIsUsedOnceAndOneLeftIsALeak) {
  void* const block = allocate(64);
  aclTensor* const x = tensor({4}, ACL_FLOAT, block);
  std::uint64_t bytes = 0;
  aclOpExecutor* executor = nullptr;
  ASSERT_EQ(api.exp.plan(x, x, &bytes, &executor), 0);
  expect_problem("1 executor");
  EXPECT_EQ(api.exp.run(nullptr, bytes, executor, stream), 0);
  EXPECT_NE(api.exp.run(nullptr, bytes, executor, stream), 0);
  expect_problem("run twice");
  api.aclDestroyTensor(x);
  EXPECT_NE(api.aclDestroyTensor(x), 0);
  expect_problem("destroyed that does not live");
}

TEST_F(EmulatorTest, ATensorOfHostMemoryOrBeyondItsStorageIsNone) {
  std::array<float, 16> host{};
  EXPECT_EQ(tensor({4}, ACL_FLOAT, host.data()), nullptr);
  expect_problem("host memory");
  const std::int64_t dims[] = {4}, storage[] = {4}, stride[] = {2};
  EXPECT_EQ(
      api.aclCreateTensor(dims, 1, ACL_FLOAT, stride, 0, ACL_FORMAT_ND, storage, 1, allocate(64)),
      nullptr);
  expect_problem("beyond its storage");
}

TEST_F(EmulatorTest, PageableMemoryAndAWrongKindAreRefusedInCopies) {
  void* const block = allocate(64);
  std::array<std::byte, 64> host{};
  EXPECT_NE(api.aclrtMemcpyAsync(block, 64, host.data(), 64, ACL_MEMCPY_HOST_TO_DEVICE, stream), 0);
  expect_problem("not pinned");
  EXPECT_NE(api.aclrtMemcpy(block, 64, host.data(), 64, ACL_MEMCPY_DEVICE_TO_HOST), 0);
  expect_problem("kind 2 for addresses of kind 1");
  EXPECT_NE(api.aclrtMemcpy(block, 32, host.data(), 64, ACL_MEMCPY_HOST_TO_DEVICE), 0);
  expect_problem("too little room");
}

TEST_F(EmulatorTest, AThreadHasItsOwnContextAndErrorText) {
  aclError status = 0;
  std::string text;
  api.aclGetRecentErrMsg();
  std::thread([&] {
    void* made = nullptr;
    status = api.aclrtMalloc(&made, 64, ACL_MEM_MALLOC_HUGE_FIRST);
    text = api.aclGetRecentErrMsg();
    EXPECT_EQ(api.aclGetRecentErrMsg(), nullptr);  // cleared by reading
  }).join();
  EXPECT_EQ(status, ACL_ERROR_RT_CONTEXT_NULL);
  EXPECT_NE(text.find("aclrtSetDevice"), std::string::npos);
  EXPECT_EQ(api.aclGetRecentErrMsg(), nullptr);  // this thread has had no error
}

TEST_F(EmulatorTest, AStreamOfAnotherDeviceIsRefused) {
  void* const block = allocate(64);
  api.aclrtSetDevice(1);
  EXPECT_EQ(api.aclrtMemsetAsync(block, 64, 0, 64, stream), ACL_ERROR_RT_STREAM_CONTEXT);
  api.aclrtResetDevice(1);
  api.aclrtSetDevice(0);
  api.aclrtResetDevice(0);
}

TEST_F(EmulatorTest, WhatLivesWhenTheDeviceIsResetIsALeak) {
  api.aclrtSetDevice(1);
  void* block = nullptr;
  aclrtStream other = nullptr;
  api.aclrtMalloc(&block, 64, ACL_MEM_MALLOC_HUGE_FIRST);
  api.aclrtCreateStream(&other);
  api.aclrtResetDevice(1);
  const std::string found = emulator.problems();
  EXPECT_NE(found.find("leak: a stream"), std::string::npos);
  EXPECT_NE(found.find("bytes are allocated"), std::string::npos);
  api.aclrtSetDevice(1);
  api.aclrtFree(block);
  api.aclrtResetDevice(1);
  api.aclrtSetDevice(0);
  api.aclrtResetDevice(0);
}

// The fused attention's documented checks, by codes.
class EmulatedFia : public EmulatorTest {
 protected:
  struct Call {
    std::vector<std::int64_t> q = {1, 2, 4, 32}, kv = {1, 2, 5, 32}, lse = {1, 2, 4, 1}, mask;
    aclDataType type = ACL_FLOAT16;
    std::string layout = "BNSD";
    std::int64_t heads = 2, kv_heads = 2, sparse_mode = 0, inner_precise = 0, before = 2147483647,
                 after = 2147483647;
    std::vector<std::int64_t> lengths;
  };

  int plan(const Call& c) {
    const auto made = [&](const std::vector<std::int64_t>& dims, aclDataType type) {
      return tensor(dims, type, allocate(std::size_t{1} << 23));
    };
    aclTensor *const q = made(c.q, c.type), *const k = made(c.kv, c.type),
                     *const v = made(c.kv, c.type), *const out = made(c.q, c.type),
                     *const lse = made(c.lse, ACL_FLOAT),
                     *const mask = c.mask.empty() ? nullptr : made(c.mask, ACL_BOOL);
    const aclTensorList *const ks = api.aclCreateTensorList(&k, 1), *const vs =
                                                                        api.aclCreateTensorList(&v,
                                                                                                1);
    const aclIntArray* const lengths =
        c.lengths.empty() ? nullptr : api.aclCreateIntArray(c.lengths.data(), c.lengths.size());
    std::string layout = c.layout;
    std::uint64_t bytes = 0;
    aclOpExecutor* executor = nullptr;
    const int status = api.fia_v1.plan(
        q, ks, vs, nullptr, mask, nullptr, lengths, nullptr, nullptr, nullptr, nullptr, nullptr,
        nullptr, nullptr, nullptr, nullptr, nullptr, c.heads, 0.2, c.before, c.after, layout.data(),
        c.kv_heads, c.sparse_mode, c.inner_precise, 0, 0, true, out, lse, &bytes, &executor);
    if (status == 0) {
      EXPECT_GT(bytes, 0u);
      EXPECT_NE(api.fia_v1.run(nullptr, bytes, executor, stream), 0);  // destroys it
    }
    api.aclDestroyTensorList(ks);
    api.aclDestroyTensorList(vs);
    for (const aclTensor* x : {q, out, lse, mask}) api.aclDestroyTensor(x);
    api.aclDestroyIntArray(lengths);
    return status;
  }
  int plan_with(const std::function<void(Call&)>& change) {
    Call call;
    change(call);
    return plan(call);
  }
};

TEST_F(EmulatedFia, ChecksWhatTheDocumentationNames) {
  EXPECT_EQ(plan({}), 0);
  EXPECT_EQ(plan_with([](Call& c) { c.type = ACL_FLOAT; }), ACLNN_ERR_PARAM_INVALID);
  const std::function<void(Call&)> refused[] = {
      [](Call& c) { c.q[3] = c.kv[3] = 24; },   // head_dim not of 16
      [](Call& c) { c.q[3] = c.kv[3] = 528; },  // too wide
      [](Call& c) { c.heads = 3; },             // not the tensor's
      [](Call& c) { c.kv_heads = 1; },          // not the tensor's
      [](Call& c) { c.kv[0] = 2; },             // batches differ
      [](Call& c) {
        c.lse = {1, 4, 2, 1};
      },                                   // the other order
      [](Call& c) { c.layout = "BNDS"; },  // unknown
      [](Call& c) { c.sparse_mode = 5; },
      [](Call& c) { c.sparse_mode = 3; },  // without its mask
      [](Call& c) {
        c.sparse_mode = 3, c.mask = {4, 5};
      },  // not 2048 x 2048
      [](Call& c) {
        c.mask = {1, 2, 4, 5};
      },  // per head
      [](Call& c) {
        c.mask = {4, 4};
      },  // too few keys
      [](Call& c) { c.inner_precise = 4; },
      [](Call& c) { c.q[2] = c.lse[2] = 1, c.inner_precise = 2; },  // one query
      [](Call& c) { c.lengths = {6}; },                             // beyond the keys
      [](Call& c) {
        c.sparse_mode = 4, c.mask = {2048, 2048}, c.before = -3, c.after = 1;
      }};
  int number = 0;
  for (const auto& change : refused) {
    EXPECT_EQ(plan_with(change), ACLNN_ERR_INNER_TILING_ERROR) << "case " << number;
    ++number;
  }
  EXPECT_EQ(plan_with([](Call& c) { c.sparse_mode = 3, c.mask = {2048, 2048}; }), 0);
  EXPECT_EQ(plan_with([](Call& c) { c.mask = {1, 1, 16, 16}; }), 0);  // larger is allowed
}

TEST_F(EmulatedFia, PackedSequencesAreOfBf16AndFewHeadDims) {
  const auto packed = [](Call& c) {
    c.layout = "TND", c.type = ACL_BF16;
    c.q = {4, 2, 64}, c.kv = {5, 2, 64}, c.lse = {4, 2, 1};
  };
  // Without lengths of both.
  EXPECT_EQ(plan_with(packed), ACLNN_ERR_INNER_TILING_ERROR);
  EXPECT_EQ(plan_with([&](Call& c) {
              packed(c);
              c.type = ACL_FLOAT16;
            }),
            ACLNN_ERR_INNER_TILING_ERROR);
  expect_problem("inputDataType should be bf16");
}

}  // namespace
}  // namespace annulus::ascend
