# What needs libuv, built only where it is found: libechomem_uv.a, and the echo server with its load generator.
find_library(ECHOMEM_UV uv)
find_path(ECHOMEM_UV_INCLUDE uv.h)
if(NOT ECHOMEM_UV OR NOT ECHOMEM_UV_INCLUDE OR NOT TARGET echomem_static)
  message(STATUS "echomem: libuv is missing, its adapter and the echo server are left out")
  return()
endif()

file(GLOB uv_sources CONFIGURE_DEPENDS ${ECHOMEM_SOURCE_ROOT}/adapter/uv_*.c)
add_library(echomem_uv STATIC ${uv_sources})
echomem_library(echomem_uv)
set_target_properties(echomem_uv PROPERTIES EXPORT_NAME uv POSITION_INDEPENDENT_CODE ON)
target_include_directories(echomem_uv PRIVATE ${ECHOMEM_SOURCE_ROOT})
target_include_directories(echomem_uv SYSTEM PUBLIC $<BUILD_INTERFACE:${ECHOMEM_UV_INCLUDE}>)
target_link_libraries(echomem_uv PUBLIC echomem_adapter ${ECHOMEM_UV} PRIVATE $<BUILD_INTERFACE:echomem_measured>)
add_library(echomem::uv ALIAS echomem_uv)

if(NOT ECHOMEM_TESTS)
  return()
endif()
set(examples_dir ${PROJECT_SOURCE_DIR}/examples)
set(examples_out ${PROJECT_BINARY_DIR}/examples)

# A program of an example folder.
function(echomem_example target)
  add_executable(${target} ${ARGN})
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON RUNTIME_OUTPUT_DIRECTORY ${examples_out})
  target_link_libraries(${target} PRIVATE echomem_flags Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

file(GLOB generator_sources CONFIGURE_DEPENDS ${examples_dir}/load_generator/*.c)
echomem_example(load_generator ${generator_sources})

file(GLOB server_sources CONFIGURE_DEPENDS ${examples_dir}/echo_server/*.c)
echomem_example(echo_server ${server_sources})
target_include_directories(echo_server PRIVATE ${ECHOMEM_SOURCE_ROOT} ${examples_dir}/echo_server
  ${examples_dir}/echo_server/on_pool)
target_link_libraries(echo_server PRIVATE echomem_uv echomem_static)

# The same sources, and those of the room async, with every object from malloc: what the pools are compared with.
file(GLOB async_sources CONFIGURE_DEPENDS ${ECHOMEM_SOURCE_ROOT}/async/*.c)
list(FILTER async_sources EXCLUDE REGEX "/object\\.c$")
set(on_malloc ${PROJECT_SOURCE_DIR}/runtime/bench/micro/on_malloc)
add_library(async_on_malloc OBJECT ${async_sources})
set_target_properties(async_on_malloc PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
target_include_directories(async_on_malloc PRIVATE ${on_malloc} ${ECHOMEM_SOURCE_ROOT})
target_link_libraries(async_on_malloc PRIVATE echomem_flags Threads::Threads)
echomem_example(echo_server_malloc ${server_sources} $<TARGET_OBJECTS:async_on_malloc>)
target_include_directories(echo_server_malloc PRIVATE ${ECHOMEM_SOURCE_ROOT} ${examples_dir}/echo_server
  ${examples_dir}/echo_server/on_malloc)
target_link_libraries(echo_server_malloc PRIVATE echomem_uv echomem_static)

if(ECHOMEM_DROPIN)
  add_library(malloc_counter SHARED ${examples_dir}/malloc_counter/malloc_counter.c)
  set_target_properties(malloc_counter PROPERTIES C_STANDARD 11 C_EXTENSIONS ON LIBRARY_OUTPUT_DIRECTORY ${examples_out})
  target_link_libraries(malloc_counter PRIVATE echomem_flags)
endif()
