# libechomem_adapter.a: the executor; cmake/uv.cmake has the rest of the room. It stands outside the library and sees
# its public headers only.
if(NOT TARGET echomem_static)
  return()
endif()
file(GLOB adapter_sources CONFIGURE_DEPENDS ${ECHOMEM_SOURCE_ROOT}/adapter/*.c)
list(FILTER adapter_sources EXCLUDE REGEX "/uv_")
add_library(echomem_adapter_objects OBJECT ${adapter_sources})
set_target_properties(echomem_adapter_objects PROPERTIES POSITION_INDEPENDENT_CODE ON C_STANDARD 11 C_EXTENSIONS ON)
target_include_directories(echomem_adapter_objects PRIVATE ${ECHOMEM_SOURCE_ROOT})
target_link_libraries(echomem_adapter_objects PRIVATE echomem_flags echomem_measured Threads::Threads)

# The program links it before one of the libraries, static or shared.
add_library(echomem_adapter STATIC $<TARGET_OBJECTS:echomem_adapter_objects>)
echomem_library(echomem_adapter)
set_target_properties(echomem_adapter PROPERTIES EXPORT_NAME adapter)
add_library(echomem::adapter ALIAS echomem_adapter)
