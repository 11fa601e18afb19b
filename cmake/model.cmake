# The model checker, emp_model: its engine is plain C; the programs that it explores, and the product's files in them,
# are compiled with the model's sync/atomic.h (runtime/model/replace comes first) and with the thread sanitizer's hooks,
# which the engine defines: they bring the plain accesses to it. The sanitizer's library is not linked; memset and memcpy,
# which that library would have watched, are the engine's as well. Assertions of the product are on.
set(model_dir ${PROJECT_SOURCE_DIR}/runtime/model)
set(model_product slab/slab.c slab/bitmap_expand.c global/shard.c global/central_expand.c monitor/callback.c
  thread/linux/mutex.c async/future.c async/waiter.c async/waker.c async/id_table.c async/channel.c
  async/channel_queue.c async/channel_compact.c async/channel_wait.c async/select.c)
list(TRANSFORM model_product PREPEND ${ECHOMEM_SOURCE_ROOT}/)
file(GLOB model_engine CONFIGURE_DEPENDS ${model_dir}/engine/*.c)
file(GLOB model_cases CONFIGURE_DEPENDS
  ${model_dir}/cases.c ${model_dir}/litmus/*.c ${model_dir}/bugs/*.c ${model_dir}/protocol/*.c)
if(ECHOMEM_ARCH STREQUAL "x86_64")
  list(FILTER model_engine EXCLUDE REGEX "/switch_ucontext\\.c$")
else()
  list(FILTER model_engine EXCLUDE REGEX "/switch_x86_64\\.c$")
endif()

# What both halves share; before the product's own headers come those that the model replaces.
function(echomem_model_target target)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
  target_include_directories(${target} BEFORE PRIVATE ${model_dir}/replace ${model_dir} ${ECHOMEM_SOURCE_ROOT})
  target_link_libraries(${target} PRIVATE echomem_flags)
endfunction()

add_library(echomem_model_engine OBJECT ${model_engine})
echomem_model_target(echomem_model_engine)
add_library(echomem_model_cases OBJECT ${model_cases} ${model_product})
echomem_model_target(echomem_model_cases)
target_compile_options(echomem_model_cases PRIVATE -fsanitize=thread -ffunction-sections
  -UEMP_DEBUG -DEMP_DEBUG=1 -DEMP_BLOCK_SLOTS=2u -Dmemset=model_memset -Dmemcpy=model_memcpy)

# A program of the checker; what the product's files need and no case calls is left out by the linker.
function(echomem_model_program name source)
  add_executable(${name} ${source} $<TARGET_OBJECTS:echomem_model_engine> $<TARGET_OBJECTS:echomem_model_cases>)
  echomem_model_target(${name})
  target_link_options(${name} PRIVATE -Wl,--gc-sections)
endfunction()

echomem_model_program(emp_model ${model_dir}/main.c)
if(ECHOMEM_TESTS)
  add_test(NAME model/explore COMMAND emp_model)
  set_tests_properties(model/explore PROPERTIES LABELS model TIMEOUT 300)
  if(ECHOMEM_CMOCKA)
    echomem_model_program(model_checker_test ${model_dir}/checker_test.c)
    set_target_properties(model_checker_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_link_libraries(model_checker_test PRIVATE ${ECHOMEM_CMOCKA})
    add_test(NAME model/checker COMMAND model_checker_test)
    set_tests_properties(model/checker PROPERTIES LABELS model TIMEOUT 300)
  endif()
endif()
