#include "platform/reference/ops.h"
#include "tensor/copy.h"

namespace annulus::reference {

void embedding(Stream& stream, Workspace&, const EmbeddingArgs& args) {
  const auto ids = args.ids.view<std::int32_t, 2>();
  for (std::int64_t entry = 0; entry < ids.extent[0]; ++entry)
    for (std::int64_t token = 0; token < ids.extent[1]; ++token) {
      Tensor row = args.out.select(0, entry).select(0, token);  // [hidden]
      copy(stream, args.table.select(0, ids(entry, token)), row);
    }
}

}  // namespace annulus::reference
