#pragma once

#include "apps/cli/generate_run.h"
#include "io/image.h"
#include "io/json.h"

namespace annulus::cli {

/// What is stored in a picture: settings under their names with '_' (so that --from can repeat
/// them), and versions.
Json metadata_json(const Engine& engine, const Job& job, const Request& completed,
                   int index_in_request);

/// That, and the text which the A1111 web UI writes.
ImageText image_text(const Json& metadata);

/// Do two pictures come from the same settings? Versions and file names are not compared; the seed
/// only when `with_seed`.
bool same_settings(const Json& a, const Json& b, bool with_seed);

}  // namespace annulus::cli
