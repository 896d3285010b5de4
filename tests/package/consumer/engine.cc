#include <annulus/engine.hpp>
#include <cstdio>

int main(int, char** arguments) {
  annulus::engine::Engine engine({.model = arguments[1], .dtype = "f32"});
  const auto pictures =
      engine.run({.prompts = {"a red house"}, .seeds = {1}, .width = 64, .height = 64, .steps = 2});
  std::printf("%zu picture, %zu bytes", pictures.size(), pictures.at(0).pixels.size());
  return pictures.size() == 1 && pictures[0].pixels.size() == 64 * 64 * 3 ? 0 : 1;
}
