#include "platform/ascend/fia_call.h"

#include <array>

#include "base/error.h"

namespace annulus::ascend {

FiaVersion fia_version(const Cann& cann) {
  const SocProfile& soc = cann.soc();
  const CannApi& api = cann.api();
  if (soc.fused_attention == 0)
    return {0, "aclnnFusedInferAttentionScore does not run on " +
                   (soc.name.empty() ? std::string("this processor") : soc.name)};
  if (soc.fused_attention == 5) {
    if (api.fia_v5.present()) return {5, {}};
    return {0, "the installed CANN lacks aclnnFusedInferAttentionScoreV5, which " + soc.name +
                   " needs"};
  }
  if (api.fia_v2.present()) return {2, {}};
  if (api.fia_v3.present()) return {3, {}};
  if (api.fia_v4.present()) return {4, {}};
  if (api.fia_v1.present()) return {1, {}};
  return {0, "the installed CANN lacks aclnnFusedInferAttentionScore"};
}

void call_fia(const Aclnn& aclnn, int version, const FiaArgs& args) {
  constexpr std::int64_t kNone = 0;  // block size, quantisation modes
  constexpr bool kLse = true;
  const CannApi& api = aclnn.api();
  std::array<char, 5> layout = {'B', 'N', 'S', 'D', '\0'};  // the function takes it as writable
  const std::int64_t heads = args.query.shape()[1], kv_heads = args.key.shape()[1];

  const TensorHandle query = aclnn.tensor(args.query), out = aclnn.tensor(args.attention_out),
                     lse = aclnn.tensor(args.softmax_lse);
  const ListHandle keys = aclnn.list(args.key), values = aclnn.list(args.value);
  const TensorHandle hidden =
      args.mask != nullptr ? aclnn.tensor(*args.mask) : TensorHandle(nullptr, api.aclDestroyTensor);
  const IntsHandle lengths = args.kv_lengths.empty() ? IntsHandle(nullptr, api.aclDestroyIntArray)
                                                     : aclnn.ints(args.kv_lengths);
  const cann::aclTensor *const q = query.get(), *const mask = hidden.get(), *const o = out.get(),
                               *const l = lse.get();
  const cann::aclTensorList *const k = keys.get(), *const v = values.get();
  const cann::aclIntArray* const kv = lengths.get();
  constexpr std::nullptr_t null = nullptr;
  char* const text = layout.data();
  const std::int64_t before = args.pre_tokens, after = args.next_tokens, mode = args.sparse_mode,
                     precise = args.inner_precise;

  // The lists differ in length alone; see cann_abi.h for the names of what is null or 0 here.
  switch (version) {
    case 1:
      return aclnn.run(api.fia_v1, q, k, v, null, mask, null, kv, null, null, null, null, null,
                       null, null, null, null, null, heads, args.scale, before, after, text,
                       kv_heads, mode, precise, kNone, kNone, kLse, o, l);
    case 2:
      return aclnn.run(api.fia_v2, q, k, v, null, mask, null, kv, null, null, null, null, null,
                       null, null, null, null, null, null, null, null, null, null, null, null,
                       heads, args.scale, before, after, text, kv_heads, mode, precise, kNone,
                       kNone, kLse, kNone, kNone, o, l);
    case 3:
      return aclnn.run(api.fia_v3, q, k, v, null, mask, null, kv, null, null, null, null, null,
                       null, null, null, null, null, null, null, null, null, null, null, null, null,
                       null, null, heads, args.scale, before, after, text, kv_heads, mode, precise,
                       kNone, kNone, kLse, kNone, kNone, o, l);
    case 4:
      return aclnn.run(api.fia_v4, q, k, v, null, mask, null, kv, null, null, null, null, null,
                       null, null, null, null, null, null, null, null, null, null, null, null, null,
                       null, null, null, null, heads, args.scale, before, after, text, kv_heads,
                       mode, precise, kNone, kNone, kLse, kNone, kNone, kNone, o, l);
    case 5:
      return aclnn.run(api.fia_v5, q, k, v, null, mask, null, kv, null, null, null, null, null,
                       null, null, null, null, null, null, null, null, null, null, null, null, null,
                       null, null, null, null, null, null, heads, args.scale, before, after, text,
                       kv_heads, mode, precise, kNone, kNone, kLse, kNone, kNone, kNone, kNone, o,
                       l);
    default:
      throw Error(ErrorCode::Unsupported,
                  text_of("fia: wanted a version from 1 to 5, found ", version));
  }
}

}  // namespace annulus::ascend
