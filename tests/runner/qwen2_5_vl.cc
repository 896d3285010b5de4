#include "qwen2_5_vl.h"

#include "io/weight_files.h"
#include "io/weight_scope.h"
#include "kinds.h"
#include "models/encoders/qwen2_5_vl/encoder.h"
#include "models/encoders/qwen2_5_vl/images.h"
#include "nn/linear.h"

namespace annulus::goldens {
namespace {

using qwen2_5_vl::Encoder;
using qwen2_5_vl::ImageFeatures;
using qwen2_5_vl::ImageGrid;
using qwen2_5_vl::ImagePositions;
using qwen2_5_vl::Tap;
using qwen2_5_vl::TokenRows;

Encoder load_encoder(const std::filesystem::path& folder, Workbench& bench) {
  const Context& ctx = bench.context();
  const AttentionSelection selection = {
      .order = bench.platform().attention(),
      .ring_default = bench.platform().default_ring_attention_backend(),
      .component = "text_encoder"};
  return qwen2_5_vl::load(WeightScope(WeightFiles::open(folder), ctx.device),
                          Json::read(folder / "config.json", ErrorCode::CorruptFile), selection,
                          ctx.dtype);
}

std::vector<std::int64_t> integers(const Tensor& tensor) {
  const std::int64_t* data = tensor.data<std::int64_t>();
  return {data, data + tensor.elements()};
}

/// `input_ids` and `attention_mask` [batch, seq]; padding must be at the right.
TokenRows tokens_of(const GoldenCase& golden, Workbench& bench) {
  const Tensor ids = bench.widened(golden.input("input_ids", bench.host()));
  TokenRows tokens{.batch = ids.shape()[0], .seq = ids.shape()[1], .ids = {}, .lengths = {}};
  for (const std::int64_t id : integers(ids)) tokens.ids.push_back(static_cast<std::int32_t>(id));
  tokens.lengths.assign(static_cast<std::size_t>(tokens.batch), tokens.seq);
  if (!golden.has_input("attention_mask")) return tokens;
  const std::vector<std::int64_t> mask =
      integers(bench.widened(golden.input("attention_mask", bench.host())));
  for (std::int64_t row = 0; row < tokens.batch; ++row) {
    const auto begin = mask.begin() + row * tokens.seq, end = begin + tokens.seq;
    const auto padding = std::find(begin, end, 0);
    require(std::find(padding, end, 1) == end, ErrorCode::Unsupported,
            "attention_mask: wanted padding at the right, found a gap in row ", row);
    tokens.lengths[static_cast<std::size_t>(row)] = padding - begin;
  }
  return tokens;
}

/// Compares what the case stores, and nothing else.
Tap tap_into(const GoldenCase& golden, Comparison& comparison) {
  return [&golden, &comparison](std::string_view name, const Tensor& value) {
    if (golden.has_output(name)) comparison.add(name, value);
  };
}

/// Scores of the token after the last row: lm_head, or the embedding where they are tied.
void add_logits(const GoldenCase& golden, const std::filesystem::path& folder,
                const Encoder& encoder, Workbench& bench, Comparison& comparison,
                const Tensor& last) {
  if (!golden.has_output("logits.last")) return;
  const Context& ctx = bench.context();
  const WeightScope w(WeightFiles::open(folder), ctx.device);
  const std::optional<Tensor> head = w.find("lm_head.weight");
  const Linear lm_head = {
      .weight = head ? *head : encoder.language.embed_tokens, .bias = std::nullopt, .adapters = {}};
  comparison.add("logits.last", linear(ctx, last.select(1, last.shape()[1] - 1), lm_head));
}

std::vector<ImageGrid> grids_of(const GoldenCase& golden, Workbench& bench) {
  const std::vector<std::int64_t> thw =
      integers(bench.widened(golden.input("image_grid_thw", bench.host())));
  std::vector<ImageGrid> grids;
  for (std::size_t i = 0; i + 2 < thw.size(); i += 3)
    grids.push_back({thw[i], thw[i + 1], thw[i + 2]});
  return grids;
}

/// The case's pictures through the processor, which must give the stored `pixel_values`.
void compare_pixels(const GoldenCase& golden, Workbench& bench, Comparison& comparison,
                    const Tensor& expected) {
  const std::filesystem::path config =
      golden.model_folder() / "processor" / "preprocessor_config.json";
  if (!golden.has_input("image0") || !std::filesystem::exists(config)) return;
  const qwen2_5_vl::ImageProcessor processor =
      qwen2_5_vl::read_image_processor(Json::read(config, ErrorCode::CorruptFile));
  std::vector<std::shared_ptr<const Image>> images;
  for (int i = 0; golden.has_input(text_of("image", i)); ++i) {
    const Tensor pixels = golden.input(text_of("image", i), bench.host());  // [height, width, 3]
    const std::uint8_t* data = pixels.data<std::uint8_t>();
    images.push_back(
        std::make_shared<const Image>(Image{.width = static_cast<int>(pixels.shape()[1]),
                                            .height = static_cast<int>(pixels.shape()[0]),
                                            .pixels = {data, data + pixels.elements()}}));
  }
  const qwen2_5_vl::ImagePatches patches = qwen2_5_vl::image_patches(processor, images);
  comparison.add("pixel_values", bench.host_tensor(patches.values, expected.shape()), expected,
                 {.max = 1e-6});
  comparison.add_check("image_grid_thw", patches.grids == grids_of(golden, bench),
                       "other grids of patches");
}

/// Each row's pictures: as many as it has runs of image tokens.
std::vector<ImageFeatures> by_row(const Encoder& encoder, const TokenRows& tokens,
                                  const ImageFeatures& all) {
  std::vector<ImageFeatures> rows;
  std::size_t picture = 0;
  std::int64_t used = 0;
  for (std::int64_t row = 0; row < tokens.batch; ++row) {
    const auto begin = tokens.ids.begin() + row * tokens.seq;
    std::int64_t left = std::count(begin, begin + tokens.seq, encoder.config.image_token_id);
    ImageFeatures of_row{all.rows.slice(0, used, used + left), {}};
    used += left;
    for (; left > 0 && picture < all.grids.size(); ++picture) {
      left -= all.grids[picture].patches() / encoder.config.vision->merge_unit();
      of_row.grids.push_back(all.grids[picture]);
    }
    rows.push_back(std::move(of_row));
  }
  return rows;
}

void compare_positions(const GoldenCase& golden, Comparison& comparison, const Encoder& encoder,
                       const TokenRows& tokens, const std::vector<ImageFeatures>& rows) {
  if (!golden.has_output("position_ids")) return;
  std::vector<std::span<const ImageGrid>> grids;
  grids.reserve(rows.size());
  for (const ImageFeatures& row : rows) grids.emplace_back(row.grids);
  const qwen2_5_vl::Positions positions = qwen2_5_vl::grid_positions(
      tokens.ids, tokens.lengths, grids, encoder.config.vision->spatial_merge_size,
      encoder.config.image_token_id);
  std::vector<std::int64_t> all;
  for (const std::vector<std::int64_t>& axis : positions.axes)
    all.insert(all.end(), axis.begin(), axis.end());
  comparison.add("position_ids", all, {3, tokens.batch, tokens.seq});
}

}  // namespace

std::filesystem::path encoder_folder(const GoldenCase& golden) {
  const std::filesystem::path named = golden.model_folder() / golden.folder().filename();
  return std::filesystem::is_directory(named) ? named : golden.model_folder() / "text_encoder";
}

void run_qwen2_5_vl_text(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const std::filesystem::path folder = encoder_folder(golden);
  const Encoder encoder = load_encoder(folder, bench);
  const Tensor last = encode_tokens(bench.context(), encoder, tokens_of(golden, bench), {},
                                    ImagePositions::Line, tap_into(golden, comparison));
  add_logits(golden, folder, encoder, bench, comparison, last);
}

void run_vision_language(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Context& ctx = bench.context();
  const std::filesystem::path folder = encoder_folder(golden);
  const Encoder encoder = load_encoder(folder, bench);
  const TokenRows tokens = tokens_of(golden, bench);
  const Tensor pixels = golden.input("pixel_values", bench.host());
  compare_pixels(golden, bench, comparison, pixels);

  const Tap tap = tap_into(golden, comparison);
  const std::span<const float> values(pixels.data<float>(),
                                      static_cast<std::size_t>(pixels.elements()));
  const ImageFeatures all = encode_patches(ctx, encoder, values, grids_of(golden, bench), tap);
  const std::vector<ImageFeatures> rows = by_row(encoder, tokens, all);
  std::vector<const ImageFeatures*> of_rows;
  of_rows.reserve(rows.size());
  for (const ImageFeatures& row : rows) of_rows.push_back(&row);
  compare_positions(golden, comparison, encoder, tokens, rows);
  const Tensor last = encode_tokens(ctx, encoder, tokens, of_rows, ImagePositions::Grid, tap);
  add_logits(golden, folder, encoder, bench, comparison, last);
  if (golden.has_output("hidden_states.last.positions_1d"))
    comparison.add("hidden_states.last.positions_1d",
                   encode_tokens(ctx, encoder, tokens, of_rows, ImagePositions::Line));
}

}  // namespace annulus::goldens
