// Descriptors and executors (libnnopbase.so), and what operators are written with: a Plan checks
// the arguments of a first phase and makes its executor; gather() and scatter() move a tensor's
// elements between device memory and plain vectors, in double, with the rounding of its dtype.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core.h"

namespace annulus::cann {

struct aclTensor {
  std::vector<std::int64_t> dims, strides;  // strides in elements
  std::int64_t offset;                      // elements
  aclDataType type;
  aclFormat format;
  std::vector<std::int64_t> storage;
  void* data;

  std::int64_t elements() const;
  bool contiguous() const;
};

struct aclScalar {
  double value;
  aclDataType type;
};

struct aclIntArray {
  std::vector<std::int64_t> values;
};

struct aclTensorList {
  std::vector<const aclTensor*> members;
};

struct aclOpExecutor {
  std::string name;
  std::vector<aclTensor> tensors;  // all that it reads or writes
  std::uint64_t workspace;
  std::function<void()> body;
};

}  // namespace annulus::cann

namespace fake_cann {

namespace abi = annulus::cann;

using Dims = std::vector<std::int64_t>;
using Values = std::vector<double>;

std::int64_t product(const Dims& dims);
std::string text_of(const Dims& dims);
bool is_floating(abi::aclDataType type);
std::size_t size_of(abi::aclDataType type);

/// Elements in row-major order.
Values gather(const abi::aclTensor& x);
/// The same, repeated along axes of extent 1 (and missing outer ones) to `dims`.
Values gather(const abi::aclTensor& x, const Dims& dims);
void scatter(const abi::aclTensor& x, const Values& values);

/// Whether `from` repeats to `to` by the rules of broadcasting.
bool broadcasts(const Dims& from, const Dims& to);

/// True when the object was made and not destroyed; null is not live.
bool is_live(const void* object);

/// The first phase of an operator. The first check that fails decides the code.
class Plan {
 public:
  Plan(const char* name, std::uint64_t* workspace, abi::aclOpExecutor** executor);

  // Adds a tensor that the operator uses; an optional one may be null.
  const abi::aclTensor& tensor(const abi::aclTensor* x);
  void optional(const abi::aclTensor* x);

  /// Notes an error unless `ok`; the client broke a documented rule.
  void require(bool ok, int code, const std::string& text);
  bool failed() const noexcept { return code_ != 0; }

  /// Makes the executor of `body`, or gives back the error.
  int done(std::function<void()> body, std::uint64_t workspace = 0);

 private:
  const char* name_;
  std::uint64_t* workspace_;
  abi::aclOpExecutor** executor_;
  std::vector<abi::aclTensor> tensors_;
  int code_ = 0;
};

/// The second phase, the same for all: enqueues the work and destroys the executor.
int run(const char* name, void* workspace, std::uint64_t bytes, abi::aclOpExecutor* executor,
        void* stream);

}  // namespace fake_cann
