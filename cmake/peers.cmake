# The peer programs of async_bench: <build>/peers/async_peer_<name>, built by the target async_peers, which is not part
# of all. Each needs a package (scripts/setup peers); without it, or when its compiler fails, the peer is missing and
# async_bench says so. Nothing is fetched: Rust takes the distribution's crates, Go its standard library.
set(peers_dir ${PROJECT_SOURCE_DIR}/runtime/bench/peers)
set(peers_out ${PROJECT_BINARY_DIR}/peers)
add_custom_target(async_peers)
if(CMAKE_CROSSCOMPILING OR ECHOMEM_SANITIZE OR ECHOMEM_COVERAGE OR ECHOMEM_FUZZ)
  return()
endif()
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
  enable_language(CXX)
endif()

# One peer in C or C++: its source, a header that must be there, the libraries it links.
function(echomem_native_peer name source header)
  get_filename_component(extension ${source} EXT)
  string(MAKE_C_IDENTIFIER ${name} id)
  find_path(ECHOMEM_PEER_${id} ${header} PATH_SUFFIXES concurrentqueue readerwriterqueue)
  if(NOT ECHOMEM_PEER_${id} OR (extension STREQUAL ".cc" AND NOT CMAKE_CXX_COMPILER))
    return()
  endif()
  add_executable(async_peer_${name} EXCLUDE_FROM_ALL ${peers_dir}/${source})
  set_target_properties(async_peer_${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON CXX_STANDARD 17
    RUNTIME_OUTPUT_DIRECTORY ${peers_out})
  target_compile_options(async_peer_${name} PRIVATE -O2 -Wall)
  target_link_libraries(async_peer_${name} PRIVATE Threads::Threads ${ARGN})
  add_dependencies(async_peers async_peer_${name})
endfunction()

echomem_native_peer(ck async_peer_ck.c ck_ring.h)
echomem_native_peer(urcu async_peer_urcu.c urcu/wfcqueue.h urcu-common)
echomem_native_peer(moodycamel async_peer_moodycamel.cc concurrentqueue.h)
echomem_native_peer(readerwriter async_peer_readerwriter.cc readerwriterqueue.h)
echomem_native_peer(boost-context async_peer_boost-context.cc boost/context/fiber.hpp boost_context)
echomem_native_peer(boost-fiber async_peer_boost-fiber.cc boost/fiber/all.hpp boost_fiber boost_context)

# A peer built by a command: when that fails its program is missing, and the build goes on.
function(echomem_foreign_peer name)
  cmake_parse_arguments(peer "" "" "SOURCES;COMMAND" ${ARGN})
  set(program ${peers_out}/async_peer_${name})
  add_custom_command(OUTPUT ${peers_out}/${name}.stamp
    COMMAND ${CMAKE_COMMAND} -E make_directory ${peers_out}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${program}
    COMMAND ${peer_COMMAND} || echo "async_peers: ${name} could not be built, so it is missing"
    COMMAND ${CMAKE_COMMAND} -E touch ${peers_out}/${name}.stamp
    DEPENDS ${peer_SOURCES} VERBATIM)
  add_custom_target(async_peer_${name} DEPENDS ${peers_out}/${name}.stamp)
  add_dependencies(async_peers async_peer_${name})
endfunction()

find_program(ECHOMEM_GO go)
if(ECHOMEM_GO)
  echomem_foreign_peer(go SOURCES ${peers_dir}/async_peer_go.go
    COMMAND ${CMAKE_COMMAND} -E env GOCACHE=${peers_out}/go-cache GO111MODULE=off GOFLAGS=
            ${ECHOMEM_GO} build -o ${peers_out}/async_peer_go ${peers_dir}/async_peer_go.go)
endif()

# A Rust peer: its crate is described in the build directory, so that nothing is written beside the sources.
set(ECHOMEM_CRATES /usr/share/cargo/registry CACHE PATH "Crates of the distribution")
find_program(ECHOMEM_CARGO cargo PATHS /usr/bin NO_DEFAULT_PATH)
find_program(ECHOMEM_CARGO cargo)
function(echomem_rust_peer name crate)
  file(GLOB found ${ECHOMEM_CRATES}/${crate}-[0-9]*)
  if(NOT ECHOMEM_CARGO OR NOT found)
    return()
  endif()
  set(dir ${peers_out}/${name})
  configure_file(${peers_dir}/${name}.toml.in ${dir}/Cargo.toml @ONLY)
  get_filename_component(bin_dir ${ECHOMEM_CARGO} DIRECTORY)
  echomem_foreign_peer(${name} SOURCES ${peers_dir}/async_peer_${name}.rs ${peers_dir}/peer.rs ${dir}/Cargo.toml
    COMMAND ${CMAKE_COMMAND} -E env CARGO_HOME=${dir}/home RUSTC=${bin_dir}/rustc
            ${ECHOMEM_CARGO} build --quiet --release --offline --manifest-path ${dir}/Cargo.toml
            --target-dir ${dir}/target --config "source.crates-io.replace-with=\"distribution\""
            --config "source.distribution.directory=\"${ECHOMEM_CRATES}\""
            && ${CMAKE_COMMAND} -E copy ${dir}/target/release/async_peer_${name} ${peers_out}/async_peer_${name})
endfunction()

echomem_rust_peer(tokio tokio)
echomem_rust_peer(crossbeam crossbeam-channel)
