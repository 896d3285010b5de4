# What `cmake --install` lays down: component `runtime` (the program and the model that comes with it) and component `development`
# (public headers, static libraries, a CMake package with annulus::attention and annulus::engine, pkg-config files).
include(CMakePackageConfigHelpers)

# Two export sets, so that the attention library can be found where the engine's dependencies are not installed.
set(annulus_attention_parts base tensor attention)
set(annulus_engine_parts comm platform parallel io nn schedulers pipeline models engine)
foreach(set attention engine)
  foreach(part IN LISTS annulus_${set}_parts)
    if(NOT TARGET annulus_${part})
      list(REMOVE_ITEM annulus_${set}_parts ${part})
    endif()
  endforeach()
  foreach(part IN LISTS annulus_${set}_parts)
    install(TARGETS annulus_${part} EXPORT annulus_${set}
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  endforeach()
  install(EXPORT annulus_${set} NAMESPACE annulus:: FILE annulus_${set}.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/annulus COMPONENT development)
endforeach()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/annulus-config.cmake.in ${PROJECT_BINARY_DIR}/annulus-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/annulus)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/annulus-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/annulus-config.cmake ${PROJECT_BINARY_DIR}/annulus-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/annulus COMPONENT development)

# annulus_archive_flags(VARIABLE PART...): -lannulus_NAME of the parts that have sources, dependents first.
function(annulus_archive_flags variable)
  set(flags "")
  foreach(part IN LISTS ARGN)
    get_target_property(type annulus_${part} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      list(PREPEND flags -lannulus_${part})
    endif()
  endforeach()
  list(JOIN flags " " flags)
  set(${variable} "${flags}" PARENT_SCOPE)
endfunction()
annulus_archive_flags(annulus_attention_libs ${annulus_attention_parts})
annulus_archive_flags(annulus_engine_libs ${annulus_engine_parts})
set(annulus_threads_libs "-pthread")
if(NOT ANNULUS_STD_THREADS)
  string(APPEND annulus_threads_libs " ${OpenMP_CXX_FLAGS}")
endif()
set(annulus_onednn_libs "$<$<BOOL:${ANNULUS_ONEDNN}>:-ldnnl>")
# Found relative to themselves, as `cmake --install --prefix` may name another folder than the one configured.
file(RELATIVE_PATH annulus_pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" annulus_pc_to_prefix "${annulus_pc_to_prefix}")
foreach(name attention engine)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/annulus-${name}.pc.in ${PROJECT_BINARY_DIR}/annulus-${name}.pc.generated @ONLY)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/annulus-${name}.pc INPUT ${PROJECT_BINARY_DIR}/annulus-${name}.pc.generated)
  install(FILES ${PROJECT_BINARY_DIR}/annulus-${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()

if(EXISTS ${PROJECT_SOURCE_DIR}/include/annulus)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/annulus DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/demo/storybook DESTINATION ${CMAKE_INSTALL_DATADIR}/annulus COMPONENT runtime)
if(TARGET annulus)
  install(TARGETS annulus RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
endif()
