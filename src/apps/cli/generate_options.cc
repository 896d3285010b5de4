#include "apps/cli/generate_options.h"

#include <algorithm>
#include <array>

#include "apps/cli/values.h"

namespace annulus::cli {

namespace {

using Options = GenerateOptions;

constexpr int kMostRanks = 4096;
constexpr std::int64_t kMostPixels = 65536;  // along a side; a model's own limit is lower
constexpr std::array<std::pair<std::string_view, Choice>, 3> kChoices = {
    {{"auto", Choice::Auto}, {"on", Choice::On}, {"off", Choice::Off}}};

DType parse_dtype(std::string_view option, const std::string& text) {
  const std::optional<DType> dtype = dtype_of(text);
  require(dtype.has_value() && is_floating(*dtype), ErrorCode::InvalidRequest, "--", option,
          ": wanted f32, bf16 or f16, found \"", text, "\"");
  return *dtype;
}

// FILE or FILE:SCALE. A colon that no number follows belongs to the name.
LoraOption parse_lora(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon + 1 < text.size() &&
      text.find_first_not_of("0123456789.-+eE", colon + 1) == std::string::npos)
    return {text.substr(0, colon), parse_number("lora", text.substr(colon + 1), -100, 100)};
  return {text, 1};
}

bool parse_flag(std::string_view option, const std::string& text) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kFlags = {
      {{"true", true}, {"false", false}}};
  return parse_choice(option, text, kFlags);
}

std::vector<Setting> picture_settings() {
  return {
      {"prompt",
       {},
       "TEXT",
       "Picture",
       true,
       true,
       true,
       "what to draw, as the arguments without a name; repeatable",
       [](Options& o, const std::string& v) { o.prompts.push_back(v); },
       [](Options& o) { o.prompts.clear(); }},
      {"negative-prompt",
       {},
       "TEXT",
       "Picture",
       true,
       true,
       false,
       "what to keep away from, with --true-cfg-scale above 1 [the model's default]",
       [](Options& o, const std::string& v) { o.negative_prompt = v; }},
      {"size",
       {},
       "WxH",
       "Picture",
       true,
       true,
       false,
       "width and height in pixels [the model's default]",
       [](Options& o, const std::string& v) {
         const auto [width, height] = parse_size(v);
         o.width = width;
         o.height = height;
       }},
      {"width",
       {},
       "N",
       "Picture",
       false,
       true,
       false,
       "pixels [the model's default]",
       [](Options& o, const std::string& v) {
         o.width = parse_integer("width", v, 1, kMostPixels);
       }},
      {"height",
       {},
       "N",
       "Picture",
       false,
       true,
       false,
       "pixels [the model's default]",
       [](Options& o, const std::string& v) {
         o.height = parse_integer("height", v, 1, kMostPixels);
       }},
      {"frames",
       {"num-frames"},
       "N",
       "Picture",
       true,
       true,
       false,
       "frames of a video, for models that make them [the model's default]",
       [](Options& o, const std::string& v) { o.frames = parse_integer("frames", v, 1, 1000000); }},
      {"fps",
       {},
       "X",
       "Picture",
       true,
       true,
       false,
       "frames per second of a video, for players [the model's default]",
       [](Options& o, const std::string& v) { o.fps = parse_number("fps", v, 0.01F, 1000); }},
      {"steps",
       {"num-inference-steps"},
       "N",
       "Picture",
       true,
       true,
       false,
       "denoising steps [the model's default]",
       [](Options& o, const std::string& v) {
         o.steps = static_cast<int>(parse_integer("steps", v, 1, 10000));
       }},
      {"true-cfg-scale",
       {},
       "X",
       "Picture",
       true,
       true,
       false,
       "guidance by a second pass with the negative prompt; 1: none [the model's default]",
       [](Options& o, const std::string& v) {
         o.true_cfg_scale = parse_number("true-cfg-scale", v, 0, 1000);
       }},
      {"guidance-scale",
       {},
       "X",
       "Picture",
       false,
       true,
       false,
       "guidance that a distilled model takes as input; of video models as --true-cfg-scale "
       "[the model's default]",
       [](Options& o, const std::string& v) {
         o.guidance_scale = parse_number("guidance-scale", v, 0, 1000);
       }},
      {"guidance-scale-2",
       {},
       "X",
       "Picture",
       false,
       true,
       false,
       "guidance of the second expert, of models that have two [as of the first]",
       [](Options& o, const std::string& v) {
         o.guidance_scale_2 = parse_number("guidance-scale-2", v, 0, 1000);
       }},
      {"seed",
       {},
       "N",
       "Picture",
       true,
       true,
       false,
       "of the first picture; picture i has seed + i [random, printed and stored]",
       [](Options& o, const std::string& v) { o.seed = parse_seed("seed", v); }},
      {"count",
       {"num-outputs-per-prompt", "num-images-per-prompt"},
       "N",
       "Picture",
       true,
       true,
       false,
       "pictures per prompt [1]",
       [](Options& o, const std::string& v) {
         o.count = static_cast<int>(parse_integer("count", v, 1, 100000));
       }},
      {"image",
       {"image-path"},
       "FILE",
       "Picture",
       true,
       true,
       true,
       "picture to edit or to go by (PNG, JPEG, WebP); repeatable",
       [](Options& o, const std::string& v) { o.images.emplace_back(v); },
       [](Options& o) { o.images.clear(); }},
      {"strength",
       {},
       "X",
       "Picture",
       false,
       true,
       false,
       "how far a start picture may change, 0 to 1, for models that take one",
       [](Options& o, const std::string& v) { o.strength = parse_number("strength", v, 0, 1); }},
      {"max-sequence-length",
       {},
       "N",
       "Picture",
       false,
       true,
       false,
       "most tokens of a prompt; a longer one is refused [the model's default, 512 for Qwen-Image]",
       [](Options& o, const std::string& v) {
         o.max_sequence_length =
             static_cast<int>(parse_integer("max-sequence-length", v, 1, 65536));
       }},
      {"latents",
       {},
       "FILE",
       "Picture",
       false,
       true,
       false,
       "start noise: safetensors with one tensor `latents` [drawn from the seed]",
       [](Options& o, const std::string& v) { o.latents = v; }},
  };
}

std::vector<Setting> output_settings() {
  return {
      {"output",
       {"output-path"},
       "PATTERN",
       "Output",
       true,
       true,
       false,
       "file to write, with {prompt}, {seed}, {index}, {model}; the ending (.png, .jpg, .webp; "
       "of a video .mp4, .webm, .webp, or .png for numbered frames) chooses the format "
       "[{prompt}-{seed}.png, .mp4]",
       [](Options& o, const std::string& v) { o.output = v; }},
      {"overwrite",
       {},
       "",
       "Output",
       false,
       true,
       false,
       "replace a file that exists [it is kept and the new one numbered]",
       [](Options& o, const std::string& v) { o.overwrite = parse_flag("overwrite", v); }},
      {"quality",
       {},
       "N",
       "Output",
       false,
       true,
       false,
       "of JPEG and WebP, 1 to 100; WebP at 100 is lossless [95]",
       [](Options& o, const std::string& v) {
         o.quality = static_cast<int>(parse_integer("quality", v, 1, 100));
       }},
      {"save-latents",
       {},
       "FILE",
       "Output",
       false,
       true,
       false,
       "write the final latents there (safetensors)",
       [](Options& o, const std::string& v) { o.save_latents = v; }},
      {"preview-every",
       {},
       "N",
       "Output",
       false,
       false,
       false,
       "write a rough preview beside the output every N steps [never]",
       [](Options& o, const std::string& v) {
         o.preview_every = static_cast<int>(parse_integer("preview-every", v, 1, 10000));
       }},
      {"checkpoint-every",
       {},
       "N",
       "Output",
       false,
       false,
       false,
       "keep the state of the picture every N steps beside the output, for --resume-job, until the "
       "picture is there [never]",
       [](Options& o, const std::string& v) {
         o.checkpoint_every = static_cast<int>(parse_integer("checkpoint-every", v, 1, 10000));
       }},
      {"resume-job",
       {},
       "FILE",
       "Output",
       false,
       false,
       false,
       "go on from a file that --checkpoint-every wrote, on any number of ranks",
       [](Options& o, const std::string& v) { o.resume_job = v; }},
      {"show",
       {},
       "auto|on|off",
       "Output",
       false,
       false,
       false,
       "draw each finished picture in the terminal [auto: on a terminal only]",
       [](Options& o, const std::string& v) { o.show = parse_choice("show", v, kChoices); }},
      {"json",
       {},
       "FILE",
       "Output",
       false,
       false,
       false,
       "write a report: choices, seconds, flop, bytes ('-': to stdout, in place of the paths)",
       [](Options& o, const std::string& v) { o.json = v; }},
  };
}

std::vector<Setting> model_settings() {
  return {
      {"model",
       {"model-path"},
       "DIR",
       "Model",
       true,
       false,
       false,
       "folder in diffusers' layout [the storybook model that comes with annulus]",
       [](Options& o, const std::string& v) {
         require(!v.empty(), ErrorCode::InvalidRequest,
                 "--model: wanted a folder, found an empty name");
         o.model = v;
       }},
      {"lora",
       {},
       "FILE[:SCALE]",
       "Model",
       true,
       false,
       true,
       "LoRA to apply, and how strongly [1]; repeatable",
       [](Options& o, const std::string& v) { o.loras.push_back(parse_lora(v)); },
       [](Options& o) { o.loras.clear(); }},
      {"dtype",
       {},
       "f32|bf16|f16",
       "Model",
       true,
       false,
       false,
       "arithmetic [bf16 where the weights are and the CPU has units for it, else what is fastest]",
       [](Options& o, const std::string& v) { o.dtype = parse_dtype("dtype", v); }},
      {"component-dtype",
       {},
       "NAME=T",
       "Model",
       false,
       false,
       true,
       "arithmetic of one component (text_encoder, transformer, vae); repeatable",
       [](Options& o, const std::string& v) {
         const auto [name, type] = parse_pair("component-dtype", v);
         o.component_dtype[name] = parse_dtype("component-dtype", type);
       },
       [](Options& o) { o.component_dtype.clear(); }},
      {"vae-tiling",
       {},
       "auto|on|off",
       "Model",
       false,
       false,
       false,
       "decode in overlapping tiles, for little memory [auto: by size]",
       [](Options& o, const std::string& v) {
         o.vae_tiling = parse_choice("vae-tiling", v, kChoices);
       }},
  };
}

std::vector<Setting> machine_settings() {
  return {
      {"threads",
       {},
       "N",
       "Machine",
       true,
       false,
       false,
       "per rank [the cores this process may use, shared with the ranks of its host]",
       [](Options& o, const std::string& v) {
         o.threads = static_cast<int>(parse_integer("threads", v, 1, 4096));
       }},
      {"platform",
       {},
       "NAME",
       "Machine",
       false,
       false,
       false,
       "what to compute on; `annulus doctor` lists them [the best one there is]",
       [](Options& o, const std::string& v) { o.platform = v; }},
      {"attention-backend",
       {},
       "NAME",
       "Machine",
       false,
       false,
       false,
       "of every layer [the best that serves it]; see --explain",
       [](Options& o, const std::string& v) { o.attention_backend = v; }},
      {"component-attention",
       {"component-attention-backends"},
       "NAME=BACKEND",
       "Machine",
       false,
       false,
       true,
       "attention backend of one component; repeatable",
       [](Options& o, const std::string& v) {
         const auto [name, backend] = parse_pair("component-attention", v);
         o.component_attention[name] = backend;
       },
       [](Options& o) { o.component_attention.clear(); }},
      {"ranks",
       {"num-gpus"},
       "N",
       "Machine",
       true,
       false,
       false,
       "processes that share each picture, started by mpirun on this host [the product of the "
       "degrees, or 1]",
       [](Options& o, const std::string& v) {
         o.ranks = static_cast<int>(parse_integer("ranks", v, 1, kMostRanks));
       }},
      {"ring-degree",
       {},
       "N",
       "Machine",
       false,
       false,
       false,
       "ranks among which keys and values go round [what --ranks leaves]",
       [](Options& o, const std::string& v) {
         o.ring_degree = static_cast<int>(parse_integer("ring-degree", v, 1, kMostRanks));
       }},
      {"ulysses-degree",
       {},
       "N",
       "Machine",
       false,
       false,
       false,
       "ranks among which attention heads are dealt [1, or what --ranks and --ring-degree leave]",
       [](Options& o, const std::string& v) {
         o.ulysses_degree = static_cast<int>(parse_integer("ulysses-degree", v, 1, kMostRanks));
       }},
      {"cfg-parallel",
       {"enable-cfg-parallel"},
       "",
       "Machine",
       false,
       false,
       false,
       "the two passes of guidance on ranks of their own [with --ranks alone: when it is even]",
       [](Options& o, const std::string& v) { o.cfg_parallel = parse_flag("cfg-parallel", v); }},
      {"no-shared-memory",
       {},
       "",
       "Machine",
       false,
       false,
       false,
       "ranks of one host send messages instead of reading each other's keys and values in place",
       [](Options& o, const std::string& v) {
         o.shared_memory = !parse_flag("no-shared-memory", v);
       }},
      {"deterministic",
       {},
       "",
       "Machine",
       false,
       false,
       false,
       "the same bits for every ring degree on one instruction set; slower: one thread per rank, "
       "all keys and values on each",
       [](Options& o, const std::string& v) { o.deterministic = parse_flag("deterministic", v); }},
      {"rank-deadline",
       {},
       "S",
       "Machine",
       false,
       false,
       false,
       "seconds without a sign of life after which a rank is given up [30]",
       [](Options& o, const std::string& v) {
         o.rank_deadline = parse_number("rank-deadline", v, 0.1, 86400);
       }},
      {"batch-size",
       {},
       "N",
       "Machine",
       false,
       false,
       false,
       "pictures made at the same time, for more memory [1]",
       [](Options& o, const std::string& v) {
         o.batch_size = static_cast<int>(parse_integer("batch-size", v, 1, 256));
       }},
  };
}

std::vector<Setting> run_settings() {
  return {
      {"prompt-file",
       {},
       "FILE",
       "Many pictures",
       false,
       false,
       false,
       "one prompt per line",
       [](Options& o, const std::string& v) { o.prompt_file = v; }},
      {"batch",
       {},
       "FILE.jsonl",
       "Many pictures",
       false,
       false,
       false,
       "one JSON object per line, keys are these options with '_'; the line's values win",
       [](Options& o, const std::string& v) { o.batch_file = v; }},
      {"resume",
       {},
       "",
       "Many pictures",
       false,
       false,
       false,
       "skip lines whose output exists and whose metadata match",
       [](Options& o, const std::string& v) { o.resume = parse_flag("resume", v); }},
      {"from",
       {},
       "FILE",
       "Many pictures",
       false,
       false,
       false,
       "repeat what that picture's metadata describes; options beside it win",
       [](Options& o, const std::string& v) { o.from = v; }},
      {"explain",
       {},
       "",
       "Run",
       false,
       false,
       false,
       "print which attention backend each layer has, and why",
       [](Options& o, const std::string& v) { o.explain = parse_flag("explain", v); }},
      {"dry-run",
       {},
       "",
       "Run",
       false,
       false,
       false,
       "check everything, print the memory that is needed, draw nothing",
       [](Options& o, const std::string& v) { o.dry_run = parse_flag("dry-run", v); }},
      {"quiet",
       {},
       "",
       "Run",
       true,
       false,
       false,
       "no progress",
       [](Options& o, const std::string& v) { o.quiet = parse_flag("quiet", v); }},
      {"verbose",
       {},
       "",
       "Run",
       false,
       false,
       false,
       "seconds, flop and rates per stage",
       [](Options& o, const std::string& v) { o.verbose = parse_flag("verbose", v); }},
  };
}

}  // namespace

std::span<const Setting> generate_settings() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> joined;
    for (auto* make :
         {picture_settings, output_settings, model_settings, machine_settings, run_settings})
      for (Setting& setting : make()) joined.push_back(std::move(setting));
    return joined;
  }();
  return all;
}

const Setting* find_setting(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (const Setting& setting : generate_settings())
    if (setting.name == dashed ||
        std::find(setting.aliases.begin(), setting.aliases.end(), dashed) != setting.aliases.end())
      return &setting;
  return nullptr;
}

std::pair<std::int64_t, std::int64_t> parse_size(const std::string& text) {
  const std::size_t x = text.find_first_of("xX");
  require(x != std::string::npos, ErrorCode::InvalidRequest,
          "--size: wanted WIDTHxHEIGHT in pixels, found \"", text, "\"");
  return {parse_integer("size", text.substr(0, x), 1, kMostPixels),
          parse_integer("size", text.substr(x + 1), 1, kMostPixels)};
}

}  // namespace annulus::cli
