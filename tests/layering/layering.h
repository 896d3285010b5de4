// The rules of ARCHITECTURE.md that a program can check, over the text of the files below src/. One
// function per rule; each returns what breaks it. Tests of these rules on planted offences are in
// layering_test.cc.
#pragma once

#include <string>
#include <vector>

namespace annulus::layering {

struct SourceFile {
  std::string path;  // below src/: "attention/cpu/flash.cc"
  std::string text;
};

struct Offence {
  std::string path;
  int line = 0;  // from 1
  std::string what;
  bool operator==(const Offence&) const = default;
};

/// Every C++ file below `src`, sorted by path.
std::vector<SourceFile> files_below(const std::string& src);

/// Folders that `folder` may include, itself among them; empty for an unknown folder.
std::vector<std::string> visible_from(const std::string& folder);

/// Includes that point to the right in the list of layers, name an unknown folder or a file that is
/// not there, or are not spelled from the include root.
std::vector<Offence> includes_to_the_right(const std::vector<SourceFile>& files);

/// Declarations without a body of a type that another folder defines.
std::vector<Offence> foreign_forward_declarations(const std::vector<SourceFile>& files);

/// OpenMP anywhere but in base/parallel_for.cc.
std::vector<Offence> stray_openmp(const std::vector<SourceFile>& files);

/// Instruction sets (intrinsics, target regions, feature macros) anywhere but in attention/cpu and
/// platform/cpu.
std::vector<Offence> stray_instruction_sets(const std::vector<SourceFile>& files);

}  // namespace annulus::layering
