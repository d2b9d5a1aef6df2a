# despina_profiled(TARGET): a layer, or the extension, is laid out by what a server did under load:
# which functions lie beside each other, what is inlined, which way of a branch goes straight on.
#
# `make profile` builds an engine that counts what it does (the tree `profile`), puts it under load,
# and leaves the counts in build/profile/counts; wheels, and the tree `release`, take them from there.
# A function whose branches have changed since is compiled as if there were no counts of it. Counts
# are found by the names of object files: all these trees compile in units.
include_guard()

set(DESPINA_PROFILE_GENERATE "" CACHE PATH "Folder into which the engine is to count what it does")
set(DESPINA_PROFILE_USE "" CACHE PATH "Folder with counts by which the engine is laid out")

set(despina_profile_flags "")
if((DESPINA_PROFILE_GENERATE OR DESPINA_PROFILE_USE) AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  message(STATUS "Profile: neither made nor used, ${CMAKE_CXX_COMPILER_ID} is not GCC")
elseif(DESPINA_PROFILE_GENERATE)
  # Threads count at the same time; nobody debugs this engine.
  set(despina_profile_flags -fprofile-generate=${DESPINA_PROFILE_GENERATE}
                            -fprofile-update=prefer-atomic -g0)
elseif(DESPINA_PROFILE_USE)
  cmake_path(ABSOLUTE_PATH DESPINA_PROFILE_USE BASE_DIRECTORY "${PROJECT_SOURCE_DIR}"
             OUTPUT_VARIABLE folder)
  file(GLOB counts CONFIGURE_DEPENDS "${folder}/*.gcda")
  if(NOT counts)
    message(STATUS "Profile: none in ${folder} (`make profile`)")
  else()
    message(STATUS "Profile: ${folder}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${counts})
    set(hashes "")
    foreach(file IN LISTS counts)
      file(SHA256 "${file}" hash)
      string(APPEND hashes "${hash}")
    endforeach()
    string(SHA256 hash "${hashes}")
    # The hash is for the build alone: other counts make other commands, which are run again.
    # Warnings depend on what is inlined, and so on counts, which differ each time: they are errors
    # in the tree that counts.
    set(despina_profile_flags -fprofile-use=${folder} -fprofile-correction -Wno-error
                              -Wno-coverage-mismatch -Wno-missing-profile
                              -DDESPINA_PROFILE_HASH=${hash})
  endif()
endif()

function(despina_profiled target)
  if(despina_profile_flags)
    target_compile_options(${target} PRIVATE ${despina_profile_flags}
                                             -fprofile-prefix-path=${PROJECT_BINARY_DIR})
    if(DESPINA_PROFILE_GENERATE)
      target_link_options(${target} PUBLIC -fprofile-generate)
    endif()
  endif()
endfunction()
