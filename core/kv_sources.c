/* SPDX-License-Identifier: Apache-2.0 */
/* kv_sources.c - see kv_sources.h. Layer 3. */
#include "core/kv_sources.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The prefix of a source's subjects; false: its messages are no keys. */
static bool prefix_of(const char *source, char out[KV_PREFIX_SIZE])
{
    if (strncmp(source, "KV_", 3) != 0)
        return false;
    snprintf(out, KV_PREFIX_SIZE, "$KV.%s.", source + 3);
    return true;
}

bool kv_sources_prefix(const struct store_core *core, unsigned number,
                       char out[KV_PREFIX_SIZE])
{
    if (number == 0) {
        snprintf(out, KV_PREFIX_SIZE, "%s", core->prefix);
        return true;
    }
    for (const char *source = core->sources; *source != '\0'; source += strlen(source) + 1)
        if (prefix_of(source, out) && --number == 0)
            return true;
    return false;
}

/* What comes behind a prefix, or NULL. */
static const char *behind(const char *subject, const char *prefix)
{
    size_t size = strlen(prefix);

    return strncmp(subject, prefix, size) == 0 ? subject + size : NULL;
}

const char *kv_sources_name(const struct store_core *core, const char *subject)
{
    const char *name = behind(subject, core->prefix);
    char prefix[KV_PREFIX_SIZE];

    for (const char *source = core->sources; name == NULL && *source != '\0';
         source += strlen(source) + 1)
        if (prefix_of(source, prefix))
            name = behind(subject, prefix);
    return name;
}

/* All subjects of a name ---------------------------------------------------------------------- */

struct search {
    struct store_core *core;
    const char *source; /* asked next, in core->sources */
    bool leader;
    bool found, asked_own;
    struct store_entry newest;
    uint64_t own_sequence; /* of the newest message under the own subject; 0: none */
    void (*end)(struct search *search, enum jsfs_status status);
    store_entry_done *done;       /* of a lookup */
    store_write_done *write_done; /* of a write */
    struct publication p;         /* of a write; data is referenced */
    void *arg;
    char name[];
};

static struct search *search_new(struct store_core *core, const char *name, void *arg)
{
    size_t size = strlen(name) + 1;
    struct search *search = calloc(1, sizeof(*search) + size);

    if (search == NULL)
        return NULL;
    search->core = core;
    search->source = core->sources;
    search->arg = arg;
    memcpy(search->name, name, size);
    return search;
}

static void finish(struct search *search, enum jsfs_status status)
{
    if (status == JSFS_OK && !search->found)
        status = JSFS_NOT_FOUND;
    search->end(search, status);
    bytes_unref(search->p.data);
    free(search);
}

static void got_one(void *arg, enum jsfs_status status, const struct store_entry *entry);

/* The search keeps the store: an end of it answers the lookup under way first. */
static void ask_next(struct search *search)
{
    char prefix[KV_PREFIX_SIZE];

    if (!search->asked_own) {
        search->asked_own = true;
        kv_store_lookup_under(search->core, search->core->prefix, search->name,
                              search->leader, got_one, search);
        return;
    }
    while (*search->source != '\0') {
        const char *source = search->source;

        search->source += strlen(source) + 1;
        if (prefix_of(source, prefix)) {
            kv_store_lookup_under(search->core, prefix, search->name, search->leader,
                                  got_one, search);
            return;
        }
    }
    finish(search, JSFS_OK);
}

static void got_one(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct search *search = arg;
    bool own = search->source == search->core->sources;

    if (status != JSFS_OK && status != JSFS_NOT_FOUND) {
        finish(search, status);
        return;
    }
    if (status == JSFS_OK && own)
        search->own_sequence = entry->sequence;
    if (status == JSFS_OK && (!search->found || entry->sequence > search->newest.sequence)) {
        search->found = true;
        search->newest = *entry;
    }
    ask_next(search);
}

static void end_lookup(struct search *search, enum jsfs_status status)
{
    search->done(search->arg, status, status == JSFS_OK ? &search->newest : NULL);
}

void kv_sources_lookup(struct store_core *core, const char *name, bool leader,
                       store_entry_done *done, void *arg)
{
    struct search *search = search_new(core, name, arg);

    if (search == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    search->leader = leader;
    search->done = done;
    search->end = end_lookup;
    ask_next(search);
}

/* What to expect of the own subject, so that it is what is wanted of all. */
static enum jsfs_status settle(const struct search *search, struct store_write *write)
{
    if (write->expect == STORE_EXPECT_ABSENT)
        return search->found && search->newest.state == STORE_LIVE ? JSFS_EXISTS : JSFS_OK;
    if ((search->found ? search->newest.sequence : 0) != write->sequence)
        return JSFS_CONFLICT;
    write->sequence = search->own_sequence;
    return JSFS_OK;
}

/* What is in the way of a write that was tried before may be that very write: its publication finds
 * out by the message id, and never stores it now. */
static enum jsfs_status settle_tried(struct store_write *write, enum jsfs_status status)
{
    if (write->tried_ms == 0 || (status != JSFS_EXISTS && status != JSFS_CONFLICT))
        return status;
    write->expect = STORE_EXPECT_AT;
    write->sequence = INT64_MAX;
    return JSFS_OK;
}

static void end_write(struct search *search, enum jsfs_status status)
{
    if (status == JSFS_NOT_FOUND)
        status = JSFS_OK;
    if (status == JSFS_OK)
        status = settle_tried(&search->p.write, settle(search, &search->p.write));
    if (status == JSFS_OK)
        kv_store_publish(search->core, search->name, &search->p, search->write_done,
                         search->arg);
    else
        search->write_done(search->arg, status, 0);
}

void kv_sources_publish(struct store_core *core, const char *name,
                        const struct publication *p, store_write_done *done, void *arg)
{
    struct search *search = search_new(core, name, arg);

    if (search == NULL) {
        done(arg, JSFS_NO_MEMORY, 0);
        return;
    }
    search->leader = true;
    search->p = *p;
    if (p->data != NULL)
        bytes_ref(p->data);
    search->write_done = done;
    search->end = end_write;
    ask_next(search);
}
