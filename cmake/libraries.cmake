# libechomem.a, libechomem.so (only emp_*) and the drop-in libechomem_malloc.so (the malloc family unversioned).
set(version_script ${PROJECT_SOURCE_DIR}/abi/libechomem.map)
set(dropin_script ${PROJECT_SOURCE_DIR}/abi/libechomem_malloc.map)

# Properties shared by the libraries: where a user finds the headers, and what to link.
function(echomem_library target)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON LINKER_LANGUAGE C)
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${ECHOMEM_SOURCE_ROOT}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/echomem>)
  target_link_libraries(${target} PUBLIC Threads::Threads ${CMAKE_DL_LIBS} PRIVATE $<BUILD_INTERFACE:echomem_flags>)
endfunction()

if(NOT ECHOMEM_OBJECTS)
  message(STATUS "echomem: no sources under runtime/src yet, no library is built")
  return()
endif()

add_library(echomem_static STATIC ${ECHOMEM_OBJECTS})
echomem_library(echomem_static)
set_target_properties(echomem_static PROPERTIES OUTPUT_NAME echomem EXPORT_NAME static)
add_library(echomem::static ALIAS echomem_static)

add_library(echomem_shared SHARED ${ECHOMEM_OBJECTS})
echomem_library(echomem_shared)
set_target_properties(echomem_shared PROPERTIES OUTPUT_NAME echomem EXPORT_NAME shared
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${version_script})
target_link_options(echomem_shared PRIVATE
  -Wl,--version-script=${version_script} -Wl,-Bsymbolic-functions -Wl,-z,now -Wl,-z,relro)
if(NOT ECHOMEM_SANITIZE)
  target_link_options(echomem_shared PRIVATE -Wl,-z,defs)
endif()
add_library(echomem::shared ALIAS echomem_shared)

if(ECHOMEM_DROPIN)
  echomem_add_room(preload)
endif()
if(TARGET echomem_preload)
  add_library(echomem_malloc SHARED ${ECHOMEM_OBJECTS} $<TARGET_OBJECTS:echomem_preload>)
  echomem_library(echomem_malloc)
  set_target_properties(echomem_malloc PROPERTIES EXPORT_NAME malloc LINK_DEPENDS ${dropin_script})
  # nodelete: blocks outlive any dlclose, so the library that frees them must too.
  target_link_options(echomem_malloc PRIVATE -Wl,--version-script=${dropin_script} -Wl,-Bsymbolic-functions
    -Wl,-z,defs -Wl,-z,nodelete -Wl,-z,now -Wl,-z,relro)
  add_library(echomem::malloc ALIAS echomem_malloc)
endif()
