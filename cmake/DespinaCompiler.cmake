# How every file of the engine is compiled.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

# -g1: line numbers for backtraces and profiles; wheels are stripped when they are installed.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1")

add_compile_options(-Wall -Wextra -Werror -fno-semantic-interposition)
if(CMAKE_UNITY_BUILD)
  # GCC takes what a unity file includes for headers.
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
if(DESPINA_SANITIZE)
  add_compile_options(-fsanitize=${DESPINA_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DESPINA_SANITIZE})
  add_compile_definitions(DESPINA_SANITIZED)
  # It needs descriptors for its own checks, which some tests take away.
  if(DESPINA_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize=vptr)
  endif()
endif()

# What fuzzers are to look for ways through; not their tests.
function(despina_fuzzed target)
  if(DESPINA_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()
