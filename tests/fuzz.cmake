# SPDX-License-Identifier: Apache-2.0
add_custom_target(fuzzers)

# jsfs_fuzzers(NAME...): each fuzz/fuzz_NAME.c as the program fuzz_NAME in the binary directory.
function(jsfs_fuzzers)
    foreach(name IN LISTS ARGN)
        add_executable(fuzz_${name} EXCLUDE_FROM_ALL fuzz/fuzz_${name}.c)
        target_link_libraries(fuzz_${name} PRIVATE jsfs_core)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        set_target_properties(fuzz_${name} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
        add_dependencies(fuzzers fuzz_${name})
    endforeach()
endfunction()

jsfs_fuzzers(
    js_reply
    name_codec
    object_meta)
