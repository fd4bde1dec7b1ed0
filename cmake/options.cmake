# SPDX-License-Identifier: Apache-2.0
# jsfs_options: what every target of jsfs is compiled with. Nothing else sets a flag.
add_library(jsfs_options INTERFACE)
target_include_directories(jsfs_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(jsfs_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(jsfs_options INTERFACE
    -std=gnu17
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wswitch
    $<$<BOOL:${JSFS_WERROR}>:-Werror>)

if(JSFS_SANITIZE)
    # A report ends the program, so that no test passes with one.
    target_compile_options(jsfs_options INTERFACE
        -fsanitize=${JSFS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    # What gcc finds by following values is wrong about code that sanitizers have changed.
    target_compile_options(jsfs_options INTERFACE $<$<C_COMPILER_ID:GNU>:
        -Wno-format-truncation -Wno-stringop-truncation -Wno-maybe-uninitialized>)
    target_link_options(jsfs_options INTERFACE -fsanitize=${JSFS_SANITIZE})
else()
    # Fortified calls hide the real ones from the sanitizers, and need an optimizing build.
    target_compile_options(jsfs_options INTERFACE
        $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE>
        $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>
        $<$<CONFIG:Release,RelWithDebInfo>:-fstack-protector-strong>)
endif()

if(JSFS_FUZZ)
    target_compile_options(jsfs_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
