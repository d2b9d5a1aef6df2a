# find_package(DespinaSDK CONFIG): the headers of backends, and the way to build one.
#
# Found with "-DDespinaSDK_DIR=$(python -m despina_sdk.cmake)", or, where scikit-build-core builds
# the backend, without a word.
include_guard()

if(NOT TARGET DespinaSDK::headers)
  add_library(DespinaSDK::headers INTERFACE IMPORTED)
  target_include_directories(DespinaSDK::headers INTERFACE "${CMAKE_CURRENT_LIST_DIR}/../include")
  target_compile_features(DespinaSDK::headers INTERFACE cxx_std_17)
endif()

# despina_add_backend(NAME SOURCES source... [PACKAGE package] [VERSION version])
#
# The library libdespina_NAME.so of the backend NAME, which exports one symbol and shares nothing
# with other libraries of the server's process, whatever is linked into it. Its version is that of
# the distribution that is being built, unless one is given. It is installed into
# the Python package, if one is named; a build that is no part of a wheel puts a link to it beside
# the package's sources, for editable installations.
#
# With -DDESPINA_SANITIZE=address,undefined (what -fsanitize takes) it is built for the sanitizers,
# lies in the folder despina of the build, whatever the project says of its libraries, and nowhere
# else; beside it is the target despina_runner, which runs it: despina_sdk.testing.
function(despina_add_backend name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE;VERSION" "SOURCES")
  if(NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "despina_add_backend(NAME SOURCES source... [PACKAGE package] "
                        "[VERSION version])")
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE DespinaSDK::headers)
  set_target_properties(
    ${name}
    PROPERTIES OUTPUT_NAME "despina_${name}"
               PREFIX lib
               CXX_VISIBILITY_PRESET hidden
               C_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON
               POSITION_INDEPENDENT_CODE ON)
  if(NOT arg_VERSION)
    set(arg_VERSION "${SKBUILD_PROJECT_VERSION}")
  endif()
  if(arg_VERSION)
    target_compile_definitions(${name} PRIVATE "DESPINA_BACKEND_VERSION=\"${arg_VERSION}\"")
  endif()
  # Inline functions' static variables would otherwise be one for all libraries of the process.
  target_compile_options(
    ${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  # Templates of the standard library are not covered by the visibility: hence the list.
  set(exports "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/exports.map")
  target_link_options(${name} PRIVATE -Wl,-Bsymbolic -Wl,--exclude-libs,ALL
                      "-Wl,--version-script=${exports}")
  set_target_properties(${name} PROPERTIES LINK_DEPENDS "${exports}")
  if(DESPINA_SANITIZE)
    despina_sanitize(${name})
    if(NOT TARGET despina_runner)
      add_executable(despina_runner EXCLUDE_FROM_ALL
                     "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../include/despina/testing/runner.cc")
      find_package(Threads REQUIRED)
      target_link_libraries(despina_runner PRIVATE DespinaSDK::headers Threads::Threads
                                                   ${CMAKE_DL_LIBS})
      despina_sanitize(despina_runner)
    endif()
    return()
  endif()
  if(arg_PACKAGE)
    install(TARGETS ${name} LIBRARY DESTINATION "${arg_PACKAGE}")
  endif()
  if(arg_PACKAGE AND NOT DEFINED SKBUILD AND EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${arg_PACKAGE}")
    set(link "${CMAKE_CURRENT_SOURCE_DIR}/${arg_PACKAGE}/libdespina_${name}.so")
    add_custom_command(TARGET ${name} POST_BUILD
                       COMMAND ${CMAKE_COMMAND} -E create_symlink $<TARGET_FILE:${name}> "${link}"
                       VERBATIM)
  endif()
endfunction()

function(despina_sanitize target)
  set(flags -fsanitize=${DESPINA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_compile_options(${target} PRIVATE ${flags} -O1)
  target_link_options(${target} PRIVATE ${flags})
  # A project may name folders of its own, for all builds or for one kind of them: another build's
  # library may lie there.
  foreach(kind LIBRARY RUNTIME)
    foreach(config "" ${CMAKE_BUILD_TYPE} ${CMAKE_CONFIGURATION_TYPES})
      string(TOUPPER "${kind}_OUTPUT_DIRECTORY_${config}" property)
      string(REGEX REPLACE "_$" "" property "${property}")
      set_target_properties(${target} PROPERTIES ${property} "${CMAKE_BINARY_DIR}/despina")
    endforeach()
  endforeach()
endfunction()
