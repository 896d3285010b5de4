# cmake -DBUILD= -DFOLDER= -DCONSUMER= -DCOMPILER= -DC_COMPILER= -DGENERATOR= -DWITH_ENGINE= -DLIBDIR= -P package.cmake: see CMakeLists.txt.

# must(WHAT COMMAND...): runs it; a failure ends the test with its output.
function(must what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

set(prefix ${FOLDER}/installed)
file(REMOVE_RECURSE ${prefix} ${FOLDER}/by_cmake ${FOLDER}/by_pkg_config)
must("installing" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})

# All that an installed copy shows of our headers is include/annulus.
file(GLOB shown RELATIVE ${prefix}/include ${prefix}/include/*)
if(NOT shown STREQUAL "annulus")
  message(FATAL_ERROR "wanted include/annulus alone, found: ${shown}")
endif()

set(programs attention attention_c)
if(WITH_ENGINE)
  list(APPEND programs engine)
endif()

list(JOIN programs "," joined)  # a list would be split on its way
must("configuring by find_package" ${CMAKE_COMMAND} -S ${CONSUMER} -B ${FOLDER}/by_cmake -G ${GENERATOR}
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_C_COMPILER=${C_COMPILER} -DPROGRAMS=${joined})
must("building by find_package" ${CMAKE_COMMAND} --build ${FOLDER}/by_cmake)

file(MAKE_DIRECTORY ${FOLDER}/by_pkg_config)
set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
foreach(program IN LISTS programs)
  string(REGEX REPLACE "_c$" "" package ${program})
  must("pkg-config" pkg-config --cflags --libs annulus-${package})
  separate_arguments(flags UNIX_COMMAND "${output}")
  set(source ${CONSUMER}/${program}.cc)
  if(program STREQUAL "attention_c")
    set(source ${FOLDER}/by_pkg_config/attention_c.o)
    must("compiling C by pkg-config" ${C_COMPILER} -std=c99 -pedantic-errors -c ${CONSUMER}/attention_c.c -o ${source} ${flags})
  endif()
  must("compiling by pkg-config" ${COMPILER} -std=c++20 ${source} -o ${FOLDER}/by_pkg_config/${program} ${flags})
endforeach()

foreach(way by_cmake by_pkg_config)
  foreach(program IN LISTS programs)
    set(arguments "")
    if(program STREQUAL "engine")
      set(arguments ${prefix}/share/annulus/storybook)
    endif()
    must("running ${program} ${way}" ${FOLDER}/${way}/${program} ${arguments})
    message("${program} ${way}: ${output}")
  endforeach()
endforeach()

# The attention library alone must not bring the engine's libraries.
must("reading what the program needs" ldd ${FOLDER}/by_cmake/attention)
if(output MATCHES "dnnl|OpenCL|png|pcre")
  message(FATAL_ERROR "annulus::attention brings libraries that it does not use:\n${output}")
endif()
