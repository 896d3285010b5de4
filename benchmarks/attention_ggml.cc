// ggml's side of benchmarks/compare_attention.py, which compiles this against an installed ggml
// (ANNULUS_GGML names its folder); attention_worker.cc has the protocol. Its flash attention takes
// q in f32; for f32 K and V are f32, for bf16 they are f16, which is what it is made for. No
// log-sum-exp. Masks are refused.
#include <ggml-cpu.h>
#include <ggml.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Free {
  void operator()(ggml_context* context) const { ggml_free(context); }
};

class Worker {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "case") return load(words);
    if (what == "threads") {
      words >> threads_;
      return "ok";
    }
    if (what == "time") return time(words);
    if (what == "store") return store(words);
    throw std::runtime_error("wanted case, threads, time or store, found " + what);
  }

 private:
  // A file as [head_dim, seq, heads, batch] in ggml's order of axes, a view of [batch, seq, heads,
  // head_dim] in memory.
  ggml_tensor* tensor(ggml_type type, const std::string& name, std::int64_t seq,
                      std::int64_t heads) {
    ggml_tensor* const made =
        ggml_new_tensor_4d(context_.get(), type, head_dim_, heads, seq, batch_);
    std::vector<float> values(static_cast<std::size_t>(ggml_nelements(made)));
    std::ifstream file(name, std::ios::binary);
    file.read(reinterpret_cast<char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
    if (!file) throw std::runtime_error("wanted more in " + name);
    if (type == GGML_TYPE_F32)
      std::copy(values.begin(), values.end(), static_cast<float*>(made->data));
    else
      ggml_fp32_to_fp16_row(values.data(), static_cast<ggml_fp16_t*>(made->data),
                            ggml_nelements(made));
    return ggml_permute(context_.get(), made, 0, 2, 1, 3);
  }

  std::string load(std::istringstream& words) {
    std::int64_t heads = 0, kv_heads = 0, seq_q = 0, seq_kv = 0, left = 0, right = 0;
    int causal = 0;
    std::string dtype, mask, files;
    words >> batch_ >> heads >> kv_heads >> seq_q >> seq_kv >> head_dim_ >> dtype >> causal >>
        left >> right >> mask >> files;
    if (!words || causal != 0 || left >= 0 || right >= 0 || mask != "none")
      throw std::runtime_error("masks");
    const auto elements =
        static_cast<std::size_t>(batch_ * (heads * seq_q * 2 + kv_heads * seq_kv * 2) * head_dim_);
    context_.reset(ggml_init({elements * sizeof(float) + (std::size_t{64} << 20), nullptr, false}));
    const ggml_type type = dtype == "f32" ? GGML_TYPE_F32 : GGML_TYPE_F16;
    ggml_tensor* const q = tensor(GGML_TYPE_F32, files + ".q", seq_q, heads);
    ggml_tensor* const k = tensor(type, files + ".k", seq_kv, kv_heads);
    ggml_tensor* const v = tensor(type, files + ".v", seq_kv, kv_heads);
    out_ = ggml_flash_attn_ext(context_.get(), q, k, v, nullptr,
                               1 / std::sqrt(static_cast<float>(head_dim_)), 0, 0);
    ggml_flash_attn_ext_set_prec(out_, GGML_PREC_F32);
    graph_ = ggml_new_graph(context_.get());
    ggml_build_forward_expand(graph_, out_);
    return std::string("ok ggml ") + ggml_version();
  }

  void run() {
    ggml_cplan plan = ggml_graph_plan(graph_, threads_, nullptr);
    if (work_.size() < plan.work_size) work_.resize(plan.work_size);
    plan.work_data = work_.data();
    if (ggml_graph_compute(graph_, &plan) != GGML_STATUS_SUCCESS)
      throw std::runtime_error("the graph failed");
  }

  std::string time(std::istringstream& words) {
    int samples = 0, runs = 0;
    words >> samples >> runs;
    std::ostringstream seconds;
    seconds.precision(9);
    for (int sample = 0; sample < samples; ++sample) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < runs; ++i) run();
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
      seconds << (sample == 0 ? "" : " ") << spent.count() / runs;
    }
    return seconds.str();
  }

  std::string store(std::istringstream& words) {
    std::string name;
    words >> name;
    run();
    std::ofstream file(name, std::ios::binary);  // [batch, seq, heads, head_dim] already
    file.write(static_cast<const char*>(out_->data),
               static_cast<std::streamsize>(ggml_nbytes(out_)));
    return file ? "ok" : throw std::runtime_error("cannot write " + name);
  }

  std::unique_ptr<ggml_context, Free> context_;
  std::int64_t batch_ = 0, head_dim_ = 0;
  int threads_ = 1;
  ggml_tensor* out_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
  std::vector<std::uint8_t> work_;
};

}  // namespace

int main() {
  ggml_cpu_init();
  Worker worker;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << worker.answer(line) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
}
