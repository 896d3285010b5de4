#include "attention_case.h"
#include "kinds.h"

namespace annulus::goldens {

/// Output in q's dtype and LSE of every backend.
void run_attention(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const AttentionCase attention(golden, bench.host());
  Workspace workspace(bench.host());
  for (const NamedBackend& named : attention_backends()) {
    comparison.variant(named.label);
    const AttentionArgs args = attention.args();
    if (const auto refusal = named.backend->refusal(spec_of(args, true))) {
      comparison.add_check("refusal", false, *refusal);
      continue;
    }
    Tensor out = Tensor::empty(attention.q().shape(), attention.q().dtype(), bench.host());
    Tensor lse = Tensor::empty(attention.lse_shape(), DType::F32, bench.host());
    named.backend->run(bench.host_stream(), workspace, args, out, &lse);
    comparison.add("out", out);
    comparison.add("lse", lse);
  }
}

}  // namespace annulus::goldens
