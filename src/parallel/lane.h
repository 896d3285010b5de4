#pragma once

#include "parallel/mesh.h"
#include "tensor/device.h"
#include "tensor/workspace.h"

namespace annulus {

/// One rank's place of work: its device, order of work, scratch memory, and where it stands among
/// the ranks.
struct Lane {
  Device& device;
  Stream& stream;
  Workspace& workspace;
  const Mesh& mesh;
};

}  // namespace annulus
