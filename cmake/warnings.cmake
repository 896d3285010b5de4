# Warnings are errors in our own code only where the presets say so, so that a newer compiler does not stop a user.
option(ANNULUS_WERROR "Warnings are errors" OFF)
add_library(annulus_warnings INTERFACE)
target_compile_options(annulus_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow=local -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${ANNULUS_WERROR}>:-Werror>)
