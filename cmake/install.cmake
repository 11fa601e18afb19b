# Install rules: GNUInstallDirs, a pkg-config file and a CMake package (find_package(echomem); echomem::shared).
if(NOT TARGET echomem_static)
  return()
endif()
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/echomem)

set(install_targets echomem_static echomem_shared echomem_adapter)
if(TARGET echomem_malloc)
  list(APPEND install_targets echomem_malloc)
endif()
install(TARGETS ${install_targets} EXPORT echomem-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET echomem)
  install(TARGETS echomem RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
# The headers name each other "core/x.h", so they keep that folder: #include <echomem/core/x.h>, or "core/x.h" with the
# include path of the package.
# scripts/layers.conf names the public ones of each room.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS scripts/layers.conf)
file(STRINGS scripts/layers.conf rows REGEX "^(\\[|public = |  +[a-z_.h ]+$)")
foreach(row IN LISTS rows)
  if(row MATCHES "^\\[([a-z]+)\\]")
    set(room ${CMAKE_MATCH_1})
    set(is_public OFF)
  elseif(row MATCHES "^public = ")
    set(is_public ON)
  endif()
  if(is_public)
    string(REGEX MATCHALL "[a-z_]+\\.h" headers "${row}")
    list(TRANSFORM headers PREPEND ${ECHOMEM_SOURCE_ROOT}/${room}/)
    install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/echomem/${room})
  endif()
endforeach()

install(EXPORT echomem-targets NAMESPACE echomem:: DESTINATION ${package_dir})
configure_package_config_file(cmake/echomemConfig.cmake.in ${PROJECT_BINARY_DIR}/echomemConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/echomemConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/echomemConfig.cmake ${PROJECT_BINARY_DIR}/echomemConfigVersion.cmake
  DESTINATION ${package_dir})
configure_file(cmake/echomem.pc.in ${PROJECT_BINARY_DIR}/echomem.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/echomem.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
