#pragma once

#include "apps/cli/generate_run.h"
#include "io/image.h"
#include "io/json.h"

namespace annulus::cli {

/// What is stored in a picture: settings under their names with '_' (so that --from can repeat
/// them), a digest of the files that went into it, and versions.
Json metadata_json(const Engine& engine, const Job& job, const Request& completed,
                   int index_in_request);

/// The settings of stored metadata that change what is drawn. Others, such as files to write, are
/// left out: whoever made the picture does not decide about them. A relative path of an input that
/// is not there is looked for beside `picture`.
Json settings_in(const Json& metadata, const std::filesystem::path& picture);

/// That, and the text which the A1111 web UI writes.
ImageText image_text(const Json& metadata);

/// Do two pictures come from the same settings and the same files, wherever those are? Versions are
/// not compared; the seed only when `with_seed`.
bool same_settings(const Json& a, const Json& b, bool with_seed);

}  // namespace annulus::cli
