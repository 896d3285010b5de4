#include "pipeline/dealt_conditioning.h"

#include <algorithm>
#include <cstring>

#include "tensor/copy.h"

namespace annulus {

std::vector<Conditioning> exchange_in_turn(const Context& ctx, Communicator& ranks,
                                           const std::vector<Conditioning>& mine) {
  // How many prompts there are, and each one's shape [length, hidden]; then the values.
  struct Header {
    std::int64_t length, hidden;
  };
  std::vector<Header> headers;
  std::int64_t elements = 0;
  for (const Conditioning& one : mine) {
    headers.push_back({one.embeds.shape()[1], one.embeds.shape()[2]});
    elements += one.embeds.elements();
  }
  const auto all_headers = ranks.all_gather(std::as_bytes(std::span(headers)));
  std::vector<std::vector<Header>> known;
  std::vector<std::int64_t> counts;
  std::int64_t total = 0;
  for (const auto& bytes : all_headers) {
    std::vector<Header> theirs(bytes.size() / sizeof(Header));
    if (!theirs.empty()) std::memcpy(theirs.data(), bytes.data(), theirs.size() * sizeof(Header));
    counts.push_back(0);
    for (const Header& header : theirs) counts.back() += header.length * header.hidden;
    total += counts.back();
    known.push_back(std::move(theirs));
  }
  Tensor send = Tensor::empty({elements}, ctx.wide, ctx.device);
  std::int64_t at = 0;
  for (const Conditioning& one : mine) {
    Tensor to = send.slice(0, at, at + one.embeds.elements()).reshape(one.embeds.shape());
    copy(ctx.stream, one.embeds, to);
    at += one.embeds.elements();
  }
  Tensor values = Tensor::empty({total}, ctx.wide, ctx.device);
  ranks.all_gather(ctx.stream, send, counts, values);

  std::vector<std::vector<Conditioning>> by_rank;
  std::size_t prompts = 0;
  at = 0;
  for (const std::vector<Header>& theirs : known) {
    by_rank.emplace_back();
    for (const Header& header : theirs) {
      const std::int64_t end = at + header.length * header.hidden;
      by_rank.back().push_back(
          {values.slice(0, at, end).reshape({1, header.length, header.hidden}), {header.length}});
      at = end;
    }
    prompts += theirs.size();
  }
  std::vector<Conditioning> ordered;
  for (std::size_t i = 0; i < prompts; ++i)
    ordered.push_back(by_rank[i % by_rank.size()].at(i / by_rank.size()));
  return ordered;
}

std::vector<Conditioning> encode_in_turn(
    const Context& ctx, const std::vector<std::vector<std::string>>& lists,
    const std::function<Conditioning(std::span<const std::string> prompts)>& encode) {
  Communicator& world = ctx.mesh.world();
  std::vector<Conditioning> made;
  const bool alone = ctx.row_block > 0;  // each prompt by itself, as on ranks
  if (world.size() == 1 && !alone) {
    for (const std::vector<std::string>& prompts : lists) made.push_back(encode(prompts));
    return made;
  }
  std::vector<Conditioning> mine;
  int index = 0;
  for (const std::vector<std::string>& prompts : lists)
    for (const std::string& prompt : prompts)
      if (index++ % world.size() == world.rank()) mine.push_back(encode(std::span(&prompt, 1)));
  const std::vector<Conditioning> all = exchange_in_turn(ctx, world, mine);
  auto next = all.begin();
  for (const std::vector<std::string>& prompts : lists) {
    const auto end = next + static_cast<std::ptrdiff_t>(prompts.size());
    made.push_back(batch_of(ctx, {next, end}));
    next = end;
  }
  return made;
}

Conditioning batch_of(const Context& ctx, const std::vector<Conditioning>& prompts) {
  if (prompts.size() == 1) return prompts.front();
  Conditioning made;
  std::int64_t longest = 0;
  for (const Conditioning& one : prompts) longest = std::max(longest, one.lengths.front());
  const std::int64_t hidden = prompts.front().embeds.shape()[2];
  made.embeds = Tensor::empty({static_cast<std::int64_t>(prompts.size()), longest, hidden},
                              ctx.wide, ctx.device);
  ctx.device.fill(ctx.stream, made.embeds, 0);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::int64_t length = prompts[i].lengths.front();
    Tensor to = made.embeds.select(0, static_cast<std::int64_t>(i)).slice(0, 0, length);
    copy(ctx.stream, prompts[i].embeds.select(0, 0), to);
    made.lengths.push_back(length);
  }
  return made;
}

}  // namespace annulus
