#include "pipeline/progress.h"

#include "base/error.h"

namespace annulus {

void Progress::at(std::string_view stage, int done, int total) const {
  if (report) report(stage, done, total);
  require(!cancelled || !cancelled(), ErrorCode::Cancelled, "stopped: asked to during ", stage,
          " after ", done, " of ", total);
}

}  // namespace annulus
