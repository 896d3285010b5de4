// Our side of benchmarks/compare_attention.py: answers lines on its input, one each.
//
//   case BATCH HEADS KV_HEADS SEQ_Q SEQ_KV HEAD_DIM DTYPE CAUSAL LEFT RIGHT MASK FILES
//              reads FILES.q, .k, .v (f32, [batch, seq, heads, head_dim]) and, when MASK is `bool`
//              or `lengths`, FILES.mask ([seq_q, seq_kv] bytes) or FILES.lengths ([batch] i32).
//              CAUSAL: 0, 1 (top left) or 2 (bottom right). Answer: ok and the instruction set
//   threads N  of what follows
//   time SAMPLES RUNS [MODE]   answer: seconds of a run, the mean of RUNS, SAMPLES times. MODE: lse
//              (default), plain (no log-sum-exp), fold N (keys in N parts, folded, finished), merge
//              (the results of a run merged with others, f32)
//   store FILE          out as f32, then lse. Answer: ok
#include <annulus/attention.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using annulus::attention::Arguments;
using annulus::attention::Attention;
using annulus::attention::Causal;
using annulus::attention::DType;
using annulus::attention::Input;
using annulus::attention::Output;

template <class T>
std::vector<T> read_file(const std::string& name, std::size_t count) {
  std::vector<T> values(count);
  std::ifstream file(name, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(count * sizeof(T)));
  if (!file && count > 0) throw std::runtime_error("wanted more in " + name);
  return values;
}

// Values of `dtype`; the files hold what it represents, so that nothing is rounded here.
std::vector<std::byte> encoded(const std::vector<float>& values, DType dtype) {
  const std::size_t size = dtype == DType::F32 ? 4 : 2;
  std::vector<std::byte> bytes(values.size() * size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = __builtin_bit_cast(std::uint32_t, values[i]);
    const std::uint32_t kept = dtype == DType::F32 ? bits : bits >> 16;
    std::memcpy(bytes.data() + i * size, &kept, size);
  }
  return bytes;
}

float decoded(const std::byte* at, DType dtype) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, at, dtype == DType::F32 ? 4 : 2);
  return __builtin_bit_cast(float, dtype == DType::F32 ? bits : bits << 16);
}

class Worker {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "case") return load(words);
    if (what == "threads") {
      int threads = 0;
      words >> threads;
      attention_ = std::make_unique<Attention>(threads);
      return "ok";
    }
    if (what == "time") return time(words);
    if (what == "store") return store(words);
    throw std::runtime_error("wanted case, threads, time or store, found " + what);
  }

 private:
  std::string load(std::istringstream& words) {
    std::int64_t batch = 0, heads = 0, kv_heads = 0, seq_q = 0, seq_kv = 0, head_dim = 0;
    std::int64_t left = -1, right = -1;
    int causal = 0;
    std::string dtype, mask, files;
    words >> batch >> heads >> kv_heads >> seq_q >> seq_kv >> head_dim >> dtype >> causal >> left >>
        right >> mask >> files;
    if (!words || (dtype != "f32" && dtype != "bf16"))
      throw std::runtime_error("wanted a whole case of f32 or bf16");
    dtype_ = dtype == "f32" ? DType::F32 : DType::BF16;
    shape_ = {batch, seq_q, heads, head_dim};
    const std::vector<std::int64_t> keys = {batch, seq_kv, kv_heads, head_dim};
    const auto values = [&](const char* name, std::int64_t count) {
      return encoded(read_file<float>(files + name, static_cast<std::size_t>(count)), dtype_);
    };
    q_ = values(".q", batch * seq_q * heads * head_dim);
    k_ = values(".k", batch * seq_kv * kv_heads * head_dim);
    v_ = values(".v", batch * seq_kv * kv_heads * head_dim);
    out_.assign(q_.size(), std::byte{0});
    lse_.assign(static_cast<std::size_t>(batch * heads * seq_q), 0);
    arguments_ = Arguments();
    arguments_.q = Input(q_.data(), dtype_, shape_);
    arguments_.k = Input(k_.data(), dtype_, keys);
    arguments_.v = Input(v_.data(), dtype_, keys);
    arguments_.causal = static_cast<Causal>(causal);
    arguments_.window = {left, right};
    if (mask == "bool") {
      mask_ = read_file<char>(files + ".mask", static_cast<std::size_t>(seq_q * seq_kv));
      arguments_.mask = Input(mask_.data(), DType::Bool, {1, 1, seq_q, seq_kv});
    }
    if (mask == "lengths") {
      lengths_ = read_file<std::int32_t>(files + ".lengths", static_cast<std::size_t>(batch));
      arguments_.kv_lengths = Input(lengths_.data(), {batch});
    }
    return "ok " + std::string(attention_->instruction_set());
  }

  void run() {
    attention_->run(arguments_, Output(out_.data(), dtype_, shape_),
                    Output(lse_.data(), {shape_[0], shape_[2], shape_[1]}));
  }

  void run_plain() { attention_->run(arguments_, Output(out_.data(), dtype_, shape_)); }

  // Keys in `parts` equal parts, without masks.
  void fold(std::int64_t parts) {
    const std::vector<std::int64_t> rows = {shape_[0], shape_[2], shape_[1]};
    total_.resize(out_.size() / (dtype_ == DType::F32 ? 4 : 2));
    max_.resize(lse_.size());
    sum_.resize(lse_.size());
    const annulus::attention::Running running = {
        Output(total_.data(), shape_), Output(max_.data(), rows), Output(sum_.data(), rows)};
    attention_->start(running);
    const std::vector<std::int64_t> whole = arguments_.k.shape;
    const std::int64_t token = whole[2] * whole[3];
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t first = whole[1] * part / parts, past = whole[1] * (part + 1) / parts;
      Arguments some = arguments_;
      for (Input* x : {&some.k, &some.v}) {
        x->data =
            static_cast<const std::byte*>(x->data) + first * token * (dtype_ == DType::F32 ? 4 : 2);
        x->shape[1] = past - first;
        x->strides = {whole[1] * token, token, whole[3], 1};
      }
      attention_->fold(some, running);
    }
    attention_->finish(running, Output(out_.data(), dtype_, shape_), Output(lse_.data(), rows));
  }

  void merge() {
    const std::vector<std::int64_t> rows = {shape_[0], shape_[2], shape_[1]};
    total_.resize(out_.size() / (dtype_ == DType::F32 ? 4 : 2), 1.0F);
    part_.resize(total_.size(), 2.0F);
    sum_.resize(lse_.size(), 0.5F);
    attention_->merge(Output(total_.data(), shape_), Output(lse_.data(), rows),
                      Input(part_.data(), shape_), Input(sum_.data(), rows));
  }

  std::string time(std::istringstream& words) {
    int samples = 0, runs = 0;
    std::int64_t parts = 1;
    std::string mode = "lse";
    words >> samples >> runs >> mode >> parts;
    const auto work = [&] {
      if (mode == "plain") return run_plain();
      if (mode == "fold") return fold(parts);
      if (mode == "merge") return merge();
      run();
    };
    std::ostringstream seconds;
    seconds.precision(9);
    for (int sample = 0; sample < samples; ++sample) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < runs; ++i) work();
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
      seconds << (sample == 0 ? "" : " ") << spent.count() / runs;
    }
    return seconds.str();
  }

  std::string store(std::istringstream& words) {
    std::string name;
    words >> name;
    run();
    const std::size_t size = dtype_ == DType::F32 ? 4 : 2;
    std::vector<float> out(out_.size() / size);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = decoded(out_.data() + i * size, dtype_);
    std::ofstream file(name, std::ios::binary);
    for (const std::vector<float>* part : {&out, &lse_})
      file.write(reinterpret_cast<const char*>(part->data()),
                 static_cast<std::streamsize>(part->size() * sizeof(float)));
    return file ? "ok" : throw std::runtime_error("cannot write " + name);
  }

  std::unique_ptr<Attention> attention_ = std::make_unique<Attention>();
  DType dtype_ = DType::F32;
  std::vector<std::int64_t> shape_;
  std::vector<std::byte> q_, k_, v_, out_;
  std::vector<char> mask_;
  std::vector<std::int32_t> lengths_;
  std::vector<float> lse_, total_, part_, max_, sum_;
  Arguments arguments_;
};

}  // namespace

int main() {
  Worker worker;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << worker.answer(line) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
}
