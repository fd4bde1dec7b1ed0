# SPDX-License-Identifier: Apache-2.0
pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka>=1.1)

add_library(jsfs_test_support STATIC
    support/bucket_fixture.c
    support/failing_malloc.c
    support/fake_store.c
    support/fake_store_batch.c
    support/fake_store_ops.c
    support/fake_store_watch.c
    support/live_store.c
    support/server.c)
target_link_libraries(jsfs_test_support PUBLIC jsfs_core PkgConfig::cmocka)

# jsfs_unit_tests(LIBRARY NAME...): each unit/test_NAME.c as the ctest NAME, against LIBRARY.
function(jsfs_unit_tests library)
    foreach(name IN LISTS ARGN)
        add_executable(test_${name} unit/test_${name}.c)
        target_link_libraries(test_${name} PRIVATE jsfs_test_support ${library})
        # support/failing_malloc.c; -u, because core/ comes after it on the linker's command line.
        target_link_options(test_${name} PRIVATE
            LINKER:-u,__wrap_malloc
            LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup)
        add_test(NAME ${name} COMMAND test_${name})
        set_tests_properties(${name} PROPERTIES TIMEOUT 120)
    endforeach()
endfunction()

jsfs_unit_tests(jsfs_core
    base64
    bucket
    bucket_catch_up
    bucket_put
    bucket_event
    bucket_rename
    bucket_threads
    bucket_watch
    bucket_write
    buffer
    bytes
    catalog
    chunk_cache
    chunk_layout
    clock
    config
    conflict_store
    connection
    delivery
    digest
    embedded
    executor
    header_block
    history
    js_api
    js_reply
    js_reply_ack
    js_time
    json_line
    kv_batch
    kv_history
    kv_sources
    kv_store
    log
    name_codec
    name_rules
    name_set
    nuid
    object_meta
    object_store
    own_writes
    reader
    reader_memory
    requester
    source_digest
    status
    status_fold
    store
    stream_config
    stream_text
    tree
    tree_held
    tree_hidden
    tree_timer
    tree_memory
    tree_model
    tree_scale
    upload
    upload_commit
    value_commit
    value_file
    watcher)

# The longest by far, with a writer that takes all the processor it gets: not beside others.
set_tests_properties(watcher PROPERTIES RUN_SERIAL TRUE TIMEOUT 300)

jsfs_unit_tests(jsfs_fs
    control_lines
    errno_map
    handle
    inode
    options
    poke_watches
    process
    scratch_pattern
    scratch_table
    xattr)
