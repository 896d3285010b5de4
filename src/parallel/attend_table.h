// For tests: each case that other systems refuse or get wrong under sequence parallelism, by name
// (the table of docs/sequence_parallelism.md). Every rank calls; every plan of this many ranks that
// the heads allow is tried.
#pragma once

#include "parallel/attend_laws.h"

namespace annulus {

/// Runs `c` over every (ring, ulysses) of the world, Ulysses where it divides the heads.
inline void over_every_plan(Communicator& world, const AttendCase& c) {
  for (const int ulysses : ulysses_degrees(c.heads, world.size())) {
    if (world.size() % ulysses != 0) continue;
    LawRank rank(world, {.cfg = 1, .ulysses = ulysses, .ring = world.size() / ulysses});
    attend_law(rank, c, flash_attention(chosen_isa()));
  }
}

inline void uneven_law(Communicator& world) {
  for (const std::int64_t rows : {0, 1, 3, 63, 97})  // 1 and 3: shorter than most worlds
    over_every_plan(world, {.batch = 2, .keys = {.segments = {{.rows = rows}}}});
}

inline void replicated_text_law(Communicator& world) {
  over_every_plan(
      world, {.batch = 2, .keys = {.segments = {{.rows = 63}, {.rows = 11, .replicated = true}}}});
  over_every_plan(world, {.keys = {.segments = {{.rows = 5, .replicated = true}, {.rows = 7}}}});
  over_every_plan(world, {.keys = {.segments = {{.rows = 5, .replicated = true}}}});
}

inline void segments_law(Communicator& world) {
  // Image, two condition pictures (one padded for an entry), text shorter than the ranks.
  over_every_plan(world, {.batch = 2,
                          .keys = {.segments = {{.rows = 35},
                                                {.rows = 12, .lengths = {12, 5}},
                                                {.rows = 1},
                                                {.rows = 3, .lengths = {0, 2}}}}});
}

inline void masks_law(Communicator& world) {
  for (const auto mask : {AttendCase::Mask::Bool, AttendCase::Mask::Added})
    for (const bool per_head : {false, true})
      for (const bool per_query : {false, true})
        over_every_plan(world, {.batch = 2,
                                .keys = {.segments = {{.rows = 29}, {.rows = 6}}},
                                .mask = mask,
                                .mask_per_head = per_head,
                                .mask_per_query = per_query});
}

inline void causal_law(Communicator& world) {
  for (const Deal deal : {Deal::Runs, Deal::ZigZag})
    for (const Causal causal : {Causal::TopLeft, Causal::BottomRight}) {
      over_every_plan(world,
                      {.keys = {.segments = {{.rows = 61}}, .deal = deal}, .causal = causal});
      // Fewer queries than keys, keys of different lengths: the diagonal differs by entry.
      over_every_plan(world,
                      {.batch = 2,
                       .keys = {.segments = {{.rows = 61, .lengths = {61, 40}}}, .deal = deal},
                       .queries = Sequence{.segments = {{.rows = 37}}, .deal = deal},
                       .causal = causal});
    }
}

inline void window_law(Communicator& world) {
  for (const Causal causal : {Causal::No, Causal::TopLeft, Causal::BottomRight})
    for (const std::array<std::int64_t, 2> window :
         {std::array<std::int64_t, 2>{7, 3}, {-1, 2}, {4, -1}})
      over_every_plan(world, {.batch = 2,
                              .keys = {.segments = {{.rows = 53, .lengths = {53, 31}}}},
                              .queries = Sequence{.segments = {{.rows = 41}}},
                              .causal = causal,
                              .window = window});
}

inline void lengths_law(Communicator& world) {
  over_every_plan(
      world,
      {.batch = 3, .keys = {.segments = {{.rows = 31}, {.rows = 17, .lengths = {17, 0, 4}}}}});
}

inline void packed_law(Communicator& world) {
  for (const Deal deal : {Deal::Runs, Deal::ZigZag})
    for (const Causal causal : {Causal::No, Causal::TopLeft, Causal::BottomRight})
      over_every_plan(
          world,
          {.keys = {.segments = {{.rows = 70}}, .deal = deal, .starts = {0, 13, 13, 14, 70}},
           .queries =
               Sequence{.segments = {{.rows = 45}}, .deal = deal, .starts = {0, 9, 9, 20, 45}},
           .causal = causal});
}

inline void grouped_heads_law(Communicator& world) {
  for (const std::int64_t kv_heads : {1, 2, 3, 6, 12})
    over_every_plan(
        world,
        {.batch = 2, .heads = 12, .kv_heads = kv_heads, .keys = {.segments = {{.rows = 23}}}});
}

/// Few queries and many keys: a block of frames against a cache that is dealt over the ring.
inline void cache_law(Communicator& world) {
  over_every_plan(world, {.batch = 1,
                          .keys = {.segments = {{.rows = 211}, {.rows = 5, .replicated = true}}},
                          .queries = Sequence{.segments = {{.rows = 9}}},
                          .causal = Causal::BottomRight});
  over_every_plan(world, {.batch = 2,
                          .keys = {.segments = {{.rows = 211, .lengths = {211, 100}}}},
                          .queries = Sequence{.segments = {{.rows = 2}}}});
}

inline void dtypes_law(Communicator& world) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16})
    over_every_plan(world, {.heads = 8,
                            .kv_heads = 8,
                            .head_dim = 40,
                            .dtype = dtype,
                            .keys = {.segments = {{.rows = 77}, {.rows = 9}}}});
}

}  // namespace annulus
