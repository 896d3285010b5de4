#include <annulus/attention.hpp>
#include <cstdio>
#include <vector>

int main() {
  const std::vector<float> q(5 * 2 * 8, 0.5F), k(7 * 2 * 8, 0.25F), v(7 * 2 * 8, 3.0F);
  std::vector<float> out(q.size()), lse(2 * 5);
  annulus::attention::Attention attention;
  attention.run(
      {.q = {q.data(), {1, 5, 2, 8}}, .k = {k.data(), {1, 7, 2, 8}}, .v = {v.data(), {1, 7, 2, 8}}},
      {out.data(), {1, 5, 2, 8}}, {lse.data(), {1, 2, 5}});
  std::printf("out %.3f lse %.3f", out[0], lse[0]);  // 3, and ln 7 + 8 * 0.125 / sqrt 8
  return out[0] > 2.999F && out[0] < 3.001F && lse[0] > 2.299F && lse[0] < 2.300F ? 0 : 1;
}
