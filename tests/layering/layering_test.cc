// The law: the layers of ARCHITECTURE.md. First our own tree, then planted offences that each rule
// must find.
#include "layering.h"

#include <gtest/gtest.h>

#include <ostream>

#include "source_text.h"

namespace annulus::layering {

void PrintTo(const Offence& offence, std::ostream* out) {
  *out << "src/" << offence.path << ":" << offence.line << ": " << offence.what;
}

namespace {

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = files_below(ANNULUS_SOURCE_DIR "/src");
  return files;
}

const std::vector<Offence> kNone;

TEST(Layering, TheTreeIsRead) {
  EXPECT_GT(tree().size(), 50u);
}

TEST(Layering, EveryIncludeOfTheTreePointsLeft) {
  EXPECT_EQ(includes_to_the_right(tree()), kNone);
}

TEST(Layering, NoFolderOfTheTreeDeclaresAnothersTypes) {
  EXPECT_EQ(foreign_forward_declarations(tree()), kNone);
}

TEST(Layering, OnlyParallelForKnowsOpenMp) {
  EXPECT_EQ(stray_openmp(tree()), kNone);
}

TEST(Layering, OnlyKernelFoldersKnowInstructionSets) {
  EXPECT_EQ(stray_instruction_sets(tree()), kNone);
}

TEST(LayeringRules, AnIncludeToTheRightIsFound) {
  const std::vector<SourceFile> files = {
      {"base/a.h", ""},
      {"base/b.cc", "#include \"base/a.h\"\n\n#include \"nn/c.h\"\n"},
      {"nn/c.h", "#include \"base/a.h\"\n"}};
  EXPECT_EQ(includes_to_the_right(files),
            (std::vector<Offence>{{"base/b.cc", 3, "nn/c.h: base may not see nn"}}));
}

TEST(LayeringRules, FoldersSideBySideDoNotSeeEachOther) {
  for (const auto& [from, to] : {std::pair{"parallel", "platform"},
                                 {"platform", "parallel"},
                                 {"attention", "comm"},
                                 {"comm", "attention"},
                                 {"io", "attention"},
                                 {"platform", "io"},
                                 {"nn", "schedulers"}}) {
    const std::string target = std::string(to) + "/x.h";
    const std::vector<SourceFile> files = {
        {std::string(from) + "/y.cc", "#include \"" + target + "\"\n"}, {target, ""}};
    EXPECT_EQ(includes_to_the_right(files).size(), 1u) << from << " -> " << to;
  }
}

TEST(LayeringRules, UnknownFoldersAndSpellingsAreFound) {
  const std::vector<SourceFile> files = {
      {"base/a.h", ""},
      {"common/util.h", ""},
      {"tensor/b.cc",
       "#include \"a.h\"\n#include \"../base/a.h\"\n#include <base/a.h>\n#include \"base/gone.h\"\n"
       "#include <vector>\n// #include \"apps/cli/x.h\"\n#include \"base/a.h\"\n"}};
  EXPECT_EQ(
      includes_to_the_right(files),
      (std::vector<Offence>{{"common/util.h", 1, "src/common is no layer"},
                            {"tensor/b.cc", 1, "a.h: not spelled from src/, or no layer"},
                            {"tensor/b.cc", 2, "../base/a.h: not spelled from src/, or no layer"},
                            {"tensor/b.cc", 3, "base/a.h: ours are included with quotes"},
                            {"tensor/b.cc", 4, "base/gone.h: no such file"}}));
}

TEST(LayeringRules, AForwardDeclarationOfAnotherFoldersTypeIsFound) {
  const std::vector<SourceFile> files = {
      {"nn/context.h",
       "struct Context : Base {\n  int x;\n};\nenum class Mode : int { A };\nstruct [[nodiscard]] "
       "Way "
       "{};\n"},
      {"nn/step.cc", "struct Hidden {};\nstruct Step {};\n"},
      {"schedulers/own.h", "class Own {\n  struct Step;\n};\n"},
      {"schedulers/own.cc", "struct Own::Step {};\n"},
      {"tensor/tensor.h",
       "class Tensor;\nstruct Context;\nenum class Mode : int;\nstruct Library;\nclass Tensor "
       "final "
       "{};\nstruct Hidden;\nstruct Way;\n// struct Context;\n"}};
  EXPECT_EQ(foreign_forward_declarations(files),
            (std::vector<Offence>{{"tensor/tensor.h", 2, "Context belongs to nn"},
                                  {"tensor/tensor.h", 3, "Mode belongs to nn"},
                                  {"tensor/tensor.h", 7, "Way belongs to nn"}}));
}

TEST(LayeringRules, OpenMpElsewhereIsFoundAndItsNameInACommentIsNot) {
  const std::vector<SourceFile> files = {{"base/parallel_for.cc", "#include <omp.h>\n"},
                                         {"nn/a.cc",
                                          "// over OpenMP (omp_get_num_threads)\n#pragma omp "
                                          "parallel\nint n = omp_get_num_threads();\n"}};
  ASSERT_EQ(stray_openmp(files).size(), 2u);
  EXPECT_EQ(stray_openmp(files)[0].line, 2);
}

TEST(LayeringRules, InstructionSetsElsewhereAreFoundAndTheirNamesAreNot) {
  const std::vector<SourceFile> files = {
      {"attention/cpu/avx2.cc", "#include <immintrin.h>\n"},
      {"platform/cpu/gemv.cc", "#pragma GCC target(\"avx2\")\n"},
      {"base/random.cc",
       "const char* name = \"_mm256_add_ps __AVX2__\";\n#include <immintrin.h>\n__m256 x;\n"
       "[[gnu::target(\"avx2\")]] void f();\nauto y = _mm_setzero_ps();\n"}};
  std::vector<int> lines;
  for (const Offence& offence : stray_instruction_sets(files)) lines.push_back(offence.line);
  EXPECT_EQ(lines, (std::vector<int>{2, 3, 4, 5}));
}

TEST(SourceText, CommentsAndLiteralsAreBlankedAndLinesStay) {
  EXPECT_EQ(code_of("a /* b\nc */ d // e\nf"), "a     \n     d     \nf");
  EXPECT_EQ(code_of("f(\"x \\\" y\", 'z', 1'000, '\\'');"), "f(\"      \", ' ', 1'000, '  ');");
  EXPECT_EQ(code_of("R\"(a \" // b)\" c"), "R\"          \" c");
  EXPECT_EQ(code_of("#include \"a/b.h\"  // why"), "#include \"a/b.h\"        ");
}

}  // namespace
}  // namespace annulus::layering
