# annulus_library(NAME DEPENDS other... LINK external... HEADERS external... DEFINE private... EXCLUDE regex...): one library from the sources
# below this folder, and one test program from its *_test.cc. Files are found by globbing: a new file needs no line here.
#
#   DEPENDS  folders whose headers ours include
#   LINK     libraries that .cc files use; they reach no other folder's compile lines
#   HEADERS  the same, for libraries that are headers only: an installed copy does not ask for them
#   EXCLUDE  paths that this configuration leaves out
function(annulus_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LINK;HEADERS;DEFINE;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  foreach(pattern IN LISTS arg_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX ${pattern})
    list(FILTER tests EXCLUDE REGEX ${pattern})
  endforeach()
  set(headers_only ${arg_HEADERS})
  list(TRANSFORM headers_only PREPEND "$<BUILD_INTERFACE:")
  list(TRANSFORM headers_only APPEND ">")

  list(TRANSFORM arg_DEPENDS PREPEND annulus_)
  if(sources)
    add_library(annulus_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(annulus_${name} PRIVATE $<BUILD_INTERFACE:annulus_warnings> ${arg_LINK} ${headers_only})
    target_compile_definitions(annulus_${name} PRIVATE ${arg_DEFINE})
  else()
    add_library(annulus_${name} INTERFACE)
    set(scope INTERFACE)
    target_link_libraries(annulus_${name} INTERFACE ${arg_LINK})
  endif()
  target_include_directories(annulus_${name} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(annulus_${name} ${scope} ${arg_DEPENDS})
  set_target_properties(annulus_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(annulus::${name} ALIAS annulus_${name})

  if(ANNULUS_TESTS AND tests)
    add_executable(annulus_${name}_test ${tests})
    target_link_libraries(annulus_${name}_test PRIVATE annulus_${name} annulus_warnings ${arg_LINK} ${arg_HEADERS} GTest::gtest_main)
    target_compile_definitions(annulus_${name}_test PRIVATE ANNULUS_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    # Tests are compiled for quick builds; what they test keeps its optimisation.
    target_compile_options(annulus_${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)
    annulus_discover_tests(annulus_${name}_test ${name}.)
  endif()
endfunction()

# Folders whose tests run code on several threads: what the `tsan` preset is for. io, schedulers and the rest are covered by `dev`.
set(annulus_threaded_folders base tensor attention comm platform parallel nn pipeline engine)
add_custom_target(annulus_threaded_tests COMMENT "Tests for ThreadSanitizer")

# annulus_discover_tests(PROGRAM PREFIX): ctest runs each of a GoogleTest program's tests by itself. They are listed when ctest starts, so that a
# program that cannot run fails a test and not the build.
function(annulus_discover_tests program prefix)
  set(label "")
  string(REGEX REPLACE "\\.$" "" folder "${prefix}")
  if(folder IN_LIST annulus_threaded_folders)
    set(label LABELS threaded)
    add_dependencies(annulus_threaded_tests ${program})
  endif()
  gtest_discover_tests(${program} TEST_PREFIX "${prefix}" DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300 ${label})
endfunction()
