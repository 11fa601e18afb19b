# Fuzz targets (clang): runtime/fuzz/<name>_fuzz.c -> <build>/fuzz/<name>_fuzz, with libFuzzer and the address sanitizer.
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/fuzz/*_fuzz.c)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  target_include_directories(${name} PRIVATE ${ECHOMEM_SOURCE_ROOT})
  target_link_libraries(${name} PRIVATE echomem_static echomem_flags)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()
