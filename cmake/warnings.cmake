# Warnings are errors in our own code only where the presets say so, so that a newer compiler does not stop a user.
option(ANNULUS_WERROR "Warnings are errors" OFF)
add_library(annulus_warnings INTERFACE)
target_compile_options(annulus_warnings INTERFACE -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # g++ 12 warns of "text" + std::string (its bug 105651)
  $<$<BOOL:${ANNULUS_WERROR}>:-Werror>)
if(ANNULUS_SANITIZE)
  # g++ cannot follow initialisation through instrumented code; its own intrinsics' headers trip it.
  target_compile_options(annulus_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
