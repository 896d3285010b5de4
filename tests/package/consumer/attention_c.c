/* The C interface from C99: one call, then the same keys folded in two parts, and a refusal. */
#include <annulus/attention.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int same(const float* a, const float* b, int count) {
  for (int i = 0; i < count; ++i)
    if (!(fabsf(a[i] - b[i]) < 2e-5F)) return 0;
  return 1;
}

int main(void) {
  float q[5 * 2 * 8], k[7 * 2 * 8], v[7 * 2 * 8], whole[5 * 2 * 8], folded[5 * 2 * 8];
  float whole_lse[2 * 5], lse[2 * 5], total[5 * 2 * 8], max[2 * 5], sum[2 * 5];
  for (int i = 0; i < 5 * 2 * 8; ++i) q[i] = sinf((float)i);
  for (int i = 0; i < 7 * 2 * 8; ++i) k[i] = cosf((float)i), v[i] = sinf(2.0F * (float)i);

  char message[256] = "";
  annulus_attention* attention = NULL;
  if (annulus_attention_create(NULL, &attention, message, sizeof message) != ANNULUS_OK) {
    puts(message);
    return 1;
  }
  annulus_attention_arguments arguments = {sizeof arguments};
  arguments.q = (annulus_input){q, ANNULUS_F32, 4, {1, 5, 2, 8}};
  arguments.k = (annulus_input){k, ANNULUS_F32, 4, {1, 7, 2, 8}};
  arguments.v = (annulus_input){v, ANNULUS_F32, 4, {1, 7, 2, 8}};
  annulus_output out = {whole, ANNULUS_F32, 4, {1, 5, 2, 8}};
  annulus_output out_lse = {whole_lse, ANNULUS_F32, 3, {1, 2, 5}};
  annulus_status status =
      annulus_attention_run(attention, &arguments, &out, &out_lse, message, sizeof message);

  annulus_running running = {{total, ANNULUS_F32, 4, {1, 5, 2, 8}},
                             {max, ANNULUS_F32, 3, {1, 2, 5}},
                             {sum, ANNULUS_F32, 3, {1, 2, 5}}};
  if (!status) status = annulus_attention_start(attention, &running, message, sizeof message);
  arguments.k.shape[1] = arguments.v.shape[1] = 3;
  if (!status)
    status = annulus_attention_fold(attention, &arguments, &running, message, sizeof message);
  arguments.k.data = k + 3 * 16, arguments.v.data = v + 3 * 16;
  arguments.k.shape[1] = arguments.v.shape[1] = 4;
  if (!status)
    status = annulus_attention_fold(attention, &arguments, &running, message, sizeof message);
  out.data = folded, out_lse.data = lse;
  if (!status)
    status = annulus_attention_finish(attention, &running, &out, &out_lse, message, sizeof message);
  if (status) {
    printf("%s: %s\n", annulus_status_name(status), message);
    return 1;
  }
  arguments.k.strides[1] = -16, arguments.k.layout = ANNULUS_STRIDED;
  status = annulus_attention_run(attention, &arguments, &out, NULL, message, sizeof message);
  annulus_attention_destroy(attention);
  printf("version %s, refused: %s", annulus_attention_version(), message);
  return status == ANNULUS_INVALID_ARGUMENT && strstr(message, "k: wanted strides >= 0") != NULL &&
                 same(whole, folded, 5 * 2 * 8) && same(whole_lse, lse, 2 * 5)
             ? 0
             : 1;
}
