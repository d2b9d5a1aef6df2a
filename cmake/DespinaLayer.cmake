# despina_layer(NAME [DEPENDS layer...] [LIBRARIES library...])
#
# A layer is a folder of cpp/: its *.cc make one static library, its *_test.cc the executable
# NAME_test, its *_bench.cc the executable NAME_bench, each X_fuzz.cc an executable NAME_X_fuzz.
# DEPENDS are the layers whose headers it may include; LIBRARIES what else its sources and headers
# need.
#
# The sources of a layer are compiled as one unit, its tests as another (CMAKE_UNITY_BUILD): what
# stands in anonymous namespaces has a name of its own within it. The trees `debug` and `lint`
# compile each file alone.
#
# Headers are included as "NAME/file.h". Each layer is found through an include directory of its
# own that holds nothing but a link to it, so that including a layer that is not among the
# dependencies does not compile. All trees share these links, since counts of a profile
# (DespinaProfile.cmake) name some functions by their file. The target
# `all_verify_interface_header_sets` (CMake's) compiles each header alone.
include_guard()

add_custom_target(benchmarks)
add_custom_target(fuzzers)

function(despina_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBRARIES")
  file(GLOB sources CONFIGURE_DEPENDS "*.cc")
  file(GLOB headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "*.h")
  set(tests ${sources})
  set(benches ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$")
  if(NOT sources AND NOT headers)
    message(STATUS "Layer ${name}: no sources")
    return()
  endif()

  if(sources)
    set(scope PUBLIC)
    add_library(${name} STATIC ${sources})
    despina_fuzzed(${name})
    despina_profiled(${name})
  else()
    set(scope INTERFACE)
    add_library(${name} INTERFACE)
  endif()

  set(root "${PROJECT_SOURCE_DIR}/build/layers/${name}")
  if(NOT EXISTS "${root}/${name}")
    file(MAKE_DIRECTORY "${root}")
    file(RELATIVE_PATH folder "${root}" "${CMAKE_CURRENT_SOURCE_DIR}")
    file(CREATE_LINK "${folder}" "${root}/${name}" SYMBOLIC)
  endif()
  list(TRANSFORM headers PREPEND "${root}/${name}/")
  target_sources(${name} ${scope} FILE_SET HEADERS BASE_DIRS "${root}" FILES ${headers})
  set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)

  foreach(dependency IN LISTS arg_DEPENDS)
    if(TARGET ${dependency})
      target_link_libraries(${name} ${scope} ${dependency})
    endif()
  endforeach()
  target_link_libraries(${name} ${scope} ${arg_LIBRARIES} Threads::Threads)

  if(DESPINA_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ${name} GTest::gtest_main)
    # Under sanitizers, what the optimiser takes for tests is more than they gain by it.
    if(DESPINA_SANITIZE)
      target_compile_options(${name}_test PRIVATE -O0)
    endif()
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endif()
  if(DESPINA_TESTS AND benches AND benchmark_FOUND)
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(${name}_bench PRIVATE ${name} benchmark::benchmark_main)
    add_dependencies(benchmarks ${name}_bench)
  endif()
  if(DESPINA_FUZZ)
    foreach(fuzzer IN LISTS fuzzers)
      cmake_path(GET fuzzer STEM stem)
      add_executable(${name}_${stem} EXCLUDE_FROM_ALL ${fuzzer})
      despina_fuzzed(${name}_${stem})
      target_link_libraries(${name}_${stem} PRIVATE ${name})
      target_link_options(${name}_${stem} PRIVATE -fsanitize=fuzzer)
      add_dependencies(fuzzers ${name}_${stem})
    endforeach()
  endif()
endfunction()
