# Compiler flags: one interface library, echomem_flags, that every target of ours links; echomem_measured for the
# product alone.
add_library(echomem_flags INTERFACE)
add_library(echomem_measured INTERFACE)

target_compile_features(echomem_flags INTERFACE c_std_11)
target_compile_options(echomem_flags INTERFACE
  -Wall -Wextra -Wundef -Wshadow -Wpointer-arith -Wcast-align -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wmissing-prototypes -Wstrict-prototypes>
  -fvisibility=hidden
  # The compiler may assume nothing about malloc where we are malloc: no malloc + memset -> calloc, no removed pairs.
  -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
  # A replacement of malloc must not let the dynamic loader allocate thread-local storage behind it.
  -ftls-model=initial-exec)
if(ECHOMEM_WERROR)
  target_compile_options(echomem_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE MATCHES "^Rel")
  target_compile_options(echomem_flags INTERFACE -fomit-frame-pointer)
else()
  target_compile_options(echomem_flags INTERFACE -fno-omit-frame-pointer)
endif()

target_compile_definitions(echomem_flags INTERFACE
  EMP_DEBUG=$<BOOL:${ECHOMEM_DEBUG}>
  EMP_AUDIT=$<BOOL:${ECHOMEM_AUDIT}>
  EMP_SECURE=$<BOOL:${ECHOMEM_SECURE}>
  EMP_FAULT=$<BOOL:${ECHOMEM_FAULT}>)

if(ECHOMEM_SANITIZE)
  target_compile_options(echomem_flags INTERFACE -fsanitize=${ECHOMEM_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(echomem_flags INTERFACE -fsanitize=${ECHOMEM_SANITIZE})
  if(ECHOMEM_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # The tool does not see fences, and says so. None of ours is what makes a plain access safe: behind an acquire fence
    # stand vector loads only, and this build has none; the fence of the inbox orders two atomics.
    target_compile_options(echomem_flags INTERFACE -Wno-tsan)
  endif()
endif()
if(ECHOMEM_FUZZ)
  target_compile_options(echomem_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ECHOMEM_COVERAGE)
  # Only the product is counted (echomem_measured): inlined in tests, a public header would count once per use.
  target_compile_options(echomem_measured INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(echomem_flags INTERFACE --coverage)
endif()

# A sanitizer brings a malloc of its own, so there is nothing to drop in.
set(ECHOMEM_DROPIN ON)
if(ECHOMEM_SANITIZE MATCHES "address|thread|memory" OR ECHOMEM_FUZZ)
  set(ECHOMEM_DROPIN OFF)
endif()
