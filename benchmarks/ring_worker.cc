// Our side of benchmarks/compare_ring.py, one rank of it: started by mpirun with two ranks or more.
//
//   ring_worker exchange                                  messages of several sizes, both ways
//   ring_worker overlap BATCH HEADS SEQ HEAD_DIM DTYPE    a shard's exchange beside arithmetic
//   ring_worker ring BATCH HEADS SEQ HEAD_DIM DTYPE [in_place]   a ring of all ranks, 1 thread
//   each,
//              by messages or in place, in turn with rank 0 alone on as many threads as ranks
//   ring_worker shaped BATCH HEADS SEQ HEAD_DIM DTYPE BYTES_PER_SECOND LATENCY_SECONDS
//              the ring by messages that are held back as on a slow link
//
// ANNULUS_BENCH_RUNS: how often (5). Rank 0 writes a line of JSON for each figure; "seconds" is a
// list, one for each run.
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "attention/cpu/flash.h"
#include "comm/shaped.h"
#include "parallel/attend.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace {

using namespace annulus;
using Clock = std::chrono::steady_clock;

struct Problem {
  std::int64_t batch = 1, heads = 24, seq = 4096, head_dim = 128;
  DType dtype = DType::F32;
};

struct Words {
  std::vector<std::string> all;
  const std::string& at(std::size_t i) const {
    if (i >= all.size()) throw std::runtime_error("wanted more arguments: see the file's head");
    return all[i];
  }
};

Problem problem_of(const Words& words) {
  const auto number = [&](std::size_t i) { return std::stoll(words.at(i)); };
  const std::optional<DType> dtype = dtype_of(words.at(5));
  if (!dtype) throw std::runtime_error("wanted f32 or bf16, found " + words.at(5));
  return {number(1), number(2), number(3), number(4), *dtype};
}

// A rank with its own device and memory.
class Rank {
 public:
  Rank(Communicator& world, int threads)
      : world_(world), device_(threads), stream_(device_.make_stream()), workspace_(device_) {}

  Tensor random(const Shape& shape, DType dtype, std::uint32_t seed) {
    Tensor made = Tensor::empty(shape, DType::F32, device_);
    for (std::int64_t i = 0; i < made.elements(); ++i) {
      seed = seed * 1664525u + 1013904223u;
      made.data<float>()[i] = static_cast<float>(static_cast<std::int32_t>(seed)) * 0x1p-31f;
    }
    return cast(*stream_, made, dtype);
  }
  Tensor empty(const Shape& shape, DType dtype) { return Tensor::empty(shape, dtype, device_); }
  Lane lane(const Mesh& mesh) { return {device_, *stream_, workspace_, mesh}; }
  Communicator& world() { return world_; }
  Stream& stream() { return *stream_; }
  Workspace& workspace() { return workspace_; }

 private:
  Communicator& world_;
  HostDevice device_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
};

int runs() {
  const char* given = std::getenv("ANNULUS_BENCH_RUNS");
  return given == nullptr ? 5 : std::max(1, std::atoi(given));
}

// Seconds of `work`, all ranks starting together and the last one counting.
double timed(Communicator& world, const std::function<void()>& work) {
  world.barrier();
  const auto start = Clock::now();
  work();
  world.barrier();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void report(Communicator& world, const std::string& what, const std::string& more,
            const std::vector<double>& seconds) {
  if (world.rank() != 0) return;
  std::cout << "{\"what\": \"" << what << "\", " << more << ", \"seconds\": [";
  for (std::size_t i = 0; i < seconds.size(); ++i) std::cout << (i == 0 ? "" : ", ") << seconds[i];
  std::cout << "]}" << std::endl;
}

void exchange(Rank& rank) {
  Communicator& world = rank.world();
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  for (const std::int64_t bytes :
       {std::int64_t{8}, std::int64_t{4} << 10, std::int64_t{64} << 10, std::int64_t{1} << 20,
        std::int64_t{8} << 20, std::int64_t{64} << 20}) {
    const Tensor out = rank.random({bytes / 4}, DType::F32, 1);
    Tensor in = rank.random({bytes / 4}, DType::F32, 2);
    const int times = bytes < (1 << 20) ? 100 : 4;
    std::vector<double> seconds;
    for (int run = 0; run <= 2 * runs(); ++run) {
      const double taken = timed(world, [&] {
        for (int i = 0; i < times; ++i)
          world.exchange(rank.stream(), out, next, in, previous)->wait();
      });
      if (run > 0) seconds.push_back(taken / times);
    }
    report(world, "exchange", text_of("\"bytes\": ", bytes), seconds);
  }
}

std::string shape_text(const Problem& p) {
  return text_of("\"shape\": [", p.batch, ", ", p.heads, ", ", p.seq, ", ", p.head_dim,
                 "], \"dtype\": \"", name_of(p.dtype), "\"");
}

void overlap(Rank& rank, const Problem& p) {
  Communicator& world = rank.world();
  const int size = world.size(), next = (world.rank() + 1) % size,
            previous = (world.rank() + size - 1) % size;
  const std::int64_t rows = p.seq / size;
  const Tensor q = rank.random({p.batch, rows, p.heads, p.head_dim}, p.dtype, 1),
               k = rank.random(q.shape(), p.dtype, 2), v = rank.random(q.shape(), p.dtype, 3);
  const Tensor shard = rank.random({2 * q.elements()}, p.dtype, 4);
  Tensor coming = rank.random({2 * q.elements()}, p.dtype, 5);
  const AttentionBackend& backend = flash_attention(chosen_isa());
  RunningAttention total = nothing_seen(rank.stream(), p.batch, rows, p.heads, p.head_dim);
  const auto compute = [&] {
    backend.fold(rank.stream(), rank.workspace(), {.q = q, .k = k, .v = v}, total);
  };
  const auto begin = [&] { return world.exchange(rank.stream(), shard, next, coming, previous); };
  std::map<std::string, std::vector<double>> seconds;
  for (int run = 0; run <= runs(); ++run) {
    const double alone = timed(world, compute);
    const double message = timed(world, [&] { begin()->wait(); });
    double left = 0;
    const double together = timed(world, [&] {
      const auto transfer = begin();
      compute();
      const auto start = Clock::now();
      transfer->wait();
      left = std::chrono::duration<double>(Clock::now() - start).count();
    });
    if (run == 0) continue;
    seconds["compute"].push_back(alone);
    seconds["message"].push_back(message);
    seconds["together"].push_back(together);
    seconds["left_after_compute"].push_back(left);
  }
  for (const auto& [what, values] : seconds)
    report(world, what, text_of(shape_text(p), ", \"bytes\": ", shard.bytes()), values);
}

// Attention of all ranks; returns what it takes.
std::function<void()> ring_of(Rank& rank, const Mesh& mesh, const Sequence& sequence,
                              const Problem& p) {
  const std::int64_t rows = rows_of(runs_of(sequence, mesh.plan().ring, mesh.sequence().rank()));
  const Shape shape{p.batch, rows, p.heads, p.head_dim};
  const Tensor q = rank.random(shape, p.dtype, 1), k = rank.random(shape, p.dtype, 2),
               v = rank.random(shape, p.dtype, 3);
  return [&rank, &mesh, &sequence, q, k, v] {
    AttentionChoice choice;
    choice.backend = &flash_attention(chosen_isa());
    attend(rank.lane(mesh), choice, {.q = q, .k = k, .v = v, .sequence = &sequence});
  };
}

void ring(Rank& rank, const Problem& p, const std::string& name) {
  Communicator& world = rank.world();
  const Mesh mesh(world, {.ring = world.size()});
  const Sequence sequence{.segments = {{.rows = p.seq}}};
  const std::function<void()> together = ring_of(rank, mesh, sequence, p);
  Rank several(world, world.size());
  const Shape shape{p.batch, world.rank() == 0 ? p.seq : 1, p.heads, p.head_dim};
  const Tensor q = several.random(shape, p.dtype, 1), k = several.random(shape, p.dtype, 2),
               v = several.random(shape, p.dtype, 3);
  Tensor out = several.empty(shape, p.dtype);
  const auto alone = [&] {
    if (world.rank() == 0)
      flash_attention(chosen_isa())
          .run(several.stream(), several.workspace(), {.q = q, .k = k, .v = v}, out, nullptr);
  };
  std::vector<double> of_ring, of_one;
  for (int run = 0; run <= runs(); ++run) {
    const double a = timed(world, together), b = timed(world, alone);
    if (run > 0) of_ring.push_back(a), of_one.push_back(b);
  }
  report(world, name, shape_text(p), of_ring);
  report(world, text_of("one rank, ", world.size(), " threads"), shape_text(p), of_one);
}

void shaped(const Words& words) {
  const Problem p = problem_of(words);
  const LinkShape link{.latency_seconds = std::stod(words.at(7)),
                       .bytes_per_second = std::stod(words.at(6))};
  const auto world = make_shaped_mpi(link, std::make_shared<RealClock>(), {.shared_memory = false});
  Rank rank(*world, 1);
  ring(rank, p, "ring, shaped");
}

int run(const Words& words) {
  const std::string& what = words.at(0);
  if (what == "shaped") {
    shaped(words);
    return 0;
  }
  const bool in_place = words.all.back() == "in_place";
  const auto world = make_mpi({.shared_memory = in_place});
  Rank rank(*world, 1);
  if (what == "exchange")
    exchange(rank);
  else if (what == "overlap")
    overlap(rank, problem_of(words));
  else if (what == "ring")
    ring(rank, problem_of(words), in_place ? "ring, in place" : "ring, by messages");
  else
    throw std::runtime_error("wanted exchange, overlap, ring or shaped, found " + what);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({{argv + 1, argv + argc}});
  } catch (const std::exception& error) {
    std::cerr << "ring_worker: " << error.what() << '\n';
    return 1;
  }
}
