// What the check must find and what it must let pass; see CMakeLists.txt.
#include <immintrin.h>

namespace planted {

#pragma GCC push_options
#pragma GCC target("avx2")

// Wrong: an inline function of no instruction set's namespace, compiled for AVX2. Another file's
// copy for plain x86-64 has the same name.
inline double shared_sum(const double* x) {
  __m256d sum = _mm256_setzero_pd();
  for (int i = 0; i < 8; i += 4) sum = _mm256_add_pd(sum, _mm256_loadu_pd(x + i));
  return _mm256_cvtsd_f64(sum);
}

}  // namespace planted

namespace annulus::avx2 {

// Right: its name says what it needs, so no copy of that name is for another CPU.
template <int Count>
double own_sum(const double* x) {
  __m256d sum = _mm256_setzero_pd();
  for (int i = 0; i < Count; i += 4) sum = _mm256_add_pd(sum, _mm256_loadu_pd(x + i));
  return _mm256_cvtsd_f64(sum);
}

double sums(const double* x) {
  return own_sum<8>(x) + planted::shared_sum(x);
}

}  // namespace annulus::avx2

#pragma GCC pop_options
