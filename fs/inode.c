/* SPDX-License-Identifier: Apache-2.0 */
/* inode.c - see inode.h. Layer 5.
 * One table lock, held for a few pointer steps at a time. It is the last lock: nothing is
 * called while it is held.
 */
#include "fs/inode.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "fs/inode_table.h"
#include "fs/special.h"

#include <string.h>

#define FIRST_BUCKETS 1024

/* FNV-1a; names are short. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
    return hash;
}

static uint64_t mix(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdULL;
    return hash ^ (hash >> 29);
}

size_t inode_number_slot(const struct inode_table *table, uint64_t number)
{
    return (size_t)mix(number) & (table->capacity - 1);
}

static size_t name_slot(const struct inode_table *table, uint64_t parent, const char *name)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325ULL ^ parent, name, strlen(name));

    return (size_t)mix(hash) & (table->capacity - 1);
}

/* The same place and version have the same st_ino in every mount and after every forget; a
 * directory has version 0.
 */
static uint64_t place_number(enum store_kind kind, const char *bucket, const char *path,
                             bool is_file, uint64_t version)
{
    unsigned char tags[2] = {(unsigned char)kind, (unsigned char)is_file};
    uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, bucket, strlen(bucket) + 1);

    hash = hash_bytes(hash, path, strlen(path) + 1);
    hash = hash_bytes(hash, &version, sizeof(version));
    hash = mix(hash_bytes(hash, tags, sizeof(tags)));
    return hash > INODE_NUMBER_OBJECT ? hash : hash + 4;
}

static uint64_t shown_number(const struct inode_target *target)
{
    if (target->special != NULL && target->special->number != 0)
        return target->special->number;
    if (target->bucket == NULL)
        return place_number(STORE_KV, "", target->path, false, 0);
    return place_number(bucket_kind(target->bucket), bucket_name(target->bucket), target->path,
                        target->attr != NULL,
                        target->attr != NULL ? target->attr->sequence : 0);
}

uint64_t inode_bucket_number(enum store_kind kind, const char *name)
{
    return place_number(kind, name, "", false, 0);
}

void inode_destroy(struct inode *inode)
{
    value_file_unref(inode->value);
    source_unref(inode->source);
    bytes_unref(inode->content);
    bucket_unref(inode->bucket);
    special_unref(inode->special);
    pthread_mutex_destroy(&inode->lock);
    free(inode->name);
    free(inode->path);
    free(inode->nuid);
    free(inode);
}

static struct inode *create(enum inode_kind kind, const char *name, struct bucket *bucket,
                            const char *path)
{
    struct inode *inode = calloc(1, sizeof(*inode));

    if (inode == NULL)
        return NULL;
    pthread_mutex_init(&inode->lock, NULL);
    inode->kind = kind;
    inode->born_ns = clock_realtime_ns();
    inode->bucket = bucket != NULL ? bucket_ref(bucket) : NULL;
    inode->name = strdup(name);
    inode->path = path != NULL ? strdup(path) : NULL;
    if (inode->name == NULL || (path != NULL && inode->path == NULL)) {
        inode_destroy(inode);
        return NULL;
    }
    return inode;
}

static void rehash_locked(struct inode_table *table, struct inode **by_number,
                          struct inode **by_name, size_t capacity)
{
    struct inode **old = table->by_number;
    size_t old_capacity = table->capacity;

    free(table->by_name);
    table->by_number = by_number;
    table->by_name = by_name;
    table->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        for (struct inode *inode = old[i], *next; inode != NULL; inode = next) {
            next = inode->next_number;
            struct inode **slot = &by_number[inode_number_slot(table, inode->number)];
            inode->next_number = *slot;
            *slot = inode;
            if (!inode->bound || inode->parent == NULL)
                continue;
            slot = &by_name[name_slot(table, inode->parent->number, inode->name)];
            inode->next_name = *slot;
            *slot = inode;
        }
    }
    free(old);
}

/* Without memory the chains just grow longer. */
static void grow_locked(struct inode_table *table)
{
    size_t capacity = table->capacity * 2;

    if (table->count < table->capacity)
        return;
    struct inode **by_number = calloc(capacity, sizeof(struct inode *));
    struct inode **by_name = calloc(capacity, sizeof(struct inode *));
    if (by_number == NULL || by_name == NULL) {
        free(by_number);
        free(by_name);
        return;
    }
    rehash_locked(table, by_number, by_name, capacity);
}

void inode_insert_locked(struct inode_table *table, struct inode *inode, uint64_t number)
{
    grow_locked(table);
    inode->number = number;
    inode->bound = true;
    struct inode **slot = &table->by_number[inode_number_slot(table, number)];
    inode->next_number = *slot;
    *slot = inode;
    table->count++;
    if (inode->parent == NULL)
        return;
    slot = &table->by_name[name_slot(table, inode->parent->number, inode->name)];
    inode->next_name = *slot;
    *slot = inode;
}

struct inode *inode_find_name_locked(struct inode_table *table, const struct inode *parent,
                                     const char *name)
{
    struct inode *inode = table->by_name[name_slot(table, parent->number, name)];

    while (inode != NULL &&
           (inode->parent != parent || strcmp(inode->name, name) != 0))
        inode = inode->next_name;
    return inode;
}

static struct inode *find_number_locked(struct inode_table *table, uint64_t number)
{
    struct inode *inode = table->by_number[inode_number_slot(table, number)];

    while (inode != NULL && inode->number != number)
        inode = inode->next_number;
    return inode;
}

void inode_unbind_locked(struct inode_table *table, struct inode *inode)
{
    if (!inode->bound || inode->parent == NULL)
        return;
    struct inode **link =
        &table->by_name[name_slot(table, inode->parent->number, inode->name)];
    while (*link != inode)
        link = &(*link)->next_name;
    *link = inode->next_name;
    inode->next_name = NULL;
    inode->bound = false;
}

static bool add_fixed(struct inode_table *table, struct inode *parent, uint64_t number,
                      enum inode_kind kind, const char *name)
{
    struct inode *inode = create(kind, name, NULL, NULL);

    if (inode == NULL)
        return false;
    inode->parent = parent;
    inode->shown_number = number;
    inode->attr.type = TREE_DIRECTORY;
    inode->attr.modified_ns = inode->born_ns;
    inode_insert_locked(table, inode, number);
    return true;
}

struct inode_table *inode_table_new(void)
{
    struct inode_table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return NULL;
    pthread_mutex_init(&table->lock, NULL);
    table->capacity = FIRST_BUCKETS;
    table->next_number = INODE_NUMBER_OBJECT + 1;
    table->by_number = calloc(table->capacity, sizeof(struct inode *));
    table->by_name = calloc(table->capacity, sizeof(struct inode *));
    if (table->by_number == NULL || table->by_name == NULL ||
        !add_fixed(table, NULL, INODE_NUMBER_ROOT, INODE_ROOT, "")) {
        inode_table_free(table);
        return NULL;
    }
    struct inode *root = find_number_locked(table, INODE_NUMBER_ROOT);
    if (!add_fixed(table, root, INODE_NUMBER_KV, INODE_KV_ROOT, "kv") ||
        !add_fixed(table, root, INODE_NUMBER_OBJECT, INODE_OBJECT_ROOT, "obj")) {
        inode_table_free(table);
        return NULL;
    }
    return table;
}

void inode_table_free(struct inode_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; table->by_number != NULL && i < table->capacity; i++) {
        for (struct inode *inode = table->by_number[i], *next; inode != NULL; inode = next) {
            next = inode->next_number;
            inode_destroy(inode);
        }
    }
    free(table->by_number);
    free(table->by_name);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

struct inode *inode_get(struct inode_table *table, uint64_t number)
{
    SCOPED_LOCK(&table->lock);
    struct inode *inode = find_number_locked(table, number);

    while (inode != NULL && inode->moved != NULL)
        inode = inode->moved;
    if (inode != NULL)
        inode->references++;
    return inode;
}

struct inode *inode_get_exactly(struct inode_table *table, uint64_t number)
{
    SCOPED_LOCK(&table->lock);
    struct inode *inode = find_number_locked(table, number);

    if (inode != NULL)
        inode->references++;
    return inode;
}

struct inode *inode_ref(struct inode_table *table, struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    inode->references++;
    return inode;
}

void inode_put(struct inode_table *table, struct inode *inode)
{
    struct inode *dead;

    if (inode == NULL)
        return;
    pthread_mutex_lock(&table->lock);
    inode->references--;
    dead = inode_reap_locked(table, inode);
    pthread_mutex_unlock(&table->lock);
    inode_destroy_chain(dead);
}

static bool is_same_special(const struct special *one, const struct special *other)
{
    return one == other ||
           (one->ops == other->ops && one->ops->same != NULL && one->ops->same(one, other));
}

static bool fits(const struct inode *inode, const struct inode_target *target)
{
    if (inode->kind != target->kind || inode->bucket != target->bucket)
        return false;
    if (target->special != NULL)
        return is_same_special(inode->special, target->special);
    if (target->attr == NULL || inode->writers > 0)
        return true;
    return inode->attr.sequence == target->attr->sequence &&
           inode->attr.corrupt == target->attr->corrupt;
}

struct inode *inode_create_for(struct inode *parent, const char *name,
                               const struct inode_target *target)
{
    struct inode *inode = create(target->kind, name, target->bucket, target->path);

    if (inode == NULL)
        return NULL;
    inode->parent = parent;
    if (target->special != NULL)
        inode->special = special_ref(target->special);
    inode->attr.type = TREE_DIRECTORY;
    if (target->attr != NULL)
        inode->attr = *target->attr;
    inode->attr.meta = NULL;
    inode->shown_number = shown_number(target);
    return inode;
}

/* Lookups of known names come here a hundred thousand times a second, so the new inode is made
 * under the lock only when there is none; making it takes no other lock.
 */
struct inode *inode_bind(struct inode_table *table, struct inode *parent, const char *name,
                         const struct inode_target *target)
{
    SCOPED_LOCK(&table->lock);
    struct inode *inode = inode_find_name_locked(table, parent, name);

    if (inode != NULL && !fits(inode, target)) {
        inode_doubt(parent, name); /* the caller's answer may not reach the kernel */
        inode->removed = true;
        inode_unbind_locked(table, inode);
        inode = NULL;
    }
    if (inode == NULL) {
        inode = inode_create_for(parent, name, target);
        if (inode == NULL)
            return NULL;
        parent->references++;
        inode_insert_locked(table, inode, table->next_number++);
    }
    inode->references++;
    return inode;
}

void inode_remember(struct inode_table *table, struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    inode->lookups++;
}

struct inode *inode_bound(struct inode_table *table, const struct inode *parent,
                          const char *name)
{
    SCOPED_LOCK(&table->lock);
    struct inode *inode = inode_find_name_locked(table, parent, name);

    if (inode != NULL)
        inode->references++;
    return inode;
}

void inode_forget(struct inode_table *table, uint64_t number, uint64_t count)
{
    struct inode *dead = NULL;

    pthread_mutex_lock(&table->lock);
    struct inode *inode = find_number_locked(table, number);
    if (inode != NULL) {
        inode->lookups -= count < inode->lookups ? count : inode->lookups;
        dead = inode_reap_locked(table, inode);
    }
    pthread_mutex_unlock(&table->lock);
    inode_destroy_chain(dead);
}

void inode_unbind(struct inode_table *table, struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    inode->removed = true;
    inode_unbind_locked(table, inode);
}

void inode_unlink(struct inode_table *table, struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    inode->removed = true;
    inode->unlinked = true;
    inode_unbind_locked(table, inode);
}

void inode_writers(struct inode_table *table, struct inode *inode, int change)
{
    SCOPED_LOCK(&table->lock);
    inode->writers = (unsigned)((int)inode->writers + change);
}

bool inode_is_removed(struct inode_table *table, const struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    return inode->removed;
}

bool inode_is_unlinked(struct inode_table *table, const struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    return inode->unlinked;
}

bool inode_has_writers(struct inode_table *table, const struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    return inode->writers > 0;
}

uint64_t inode_shown_number(struct inode_table *table, const struct inode *parent,
                            const char *name, const struct inode_target *target)
{
    pthread_mutex_lock(&table->lock);
    const struct inode *inode = inode_find_name_locked(table, parent, name);
    uint64_t number = inode != NULL && fits(inode, target) ? inode->shown_number : 0;
    pthread_mutex_unlock(&table->lock);

    return number != 0 ? number : shown_number(target);
}

static uint_fast64_t doubt_bit(const char *name)
{
    return UINT64_C(1) << (mix(hash_bytes(0xcbf29ce484222325ULL, name, strlen(name))) & 63);
}

void inode_doubt(struct inode *directory, const char *name)
{
    atomic_fetch_or(&directory->doubts, doubt_bit(name));
}

bool inode_is_doubted(struct inode *directory, const char *name)
{
    return (atomic_load(&directory->doubts) & doubt_bit(name)) != 0;
}

size_t inode_collect(struct inode_table *table, const struct bucket *bucket,
                     struct inode ***out)
{
    size_t count = 0;

    SCOPED_LOCK(&table->lock);
    struct inode **list = calloc(table->count, sizeof(struct inode *));
    for (size_t i = 0; list != NULL && i < table->capacity; i++) {
        for (struct inode *inode = table->by_number[i]; inode != NULL;
             inode = inode->next_number) {
            if (inode->bucket == NULL || inode->lookups == 0 ||
                (bucket != NULL && inode->bucket != bucket))
                continue;
            inode->references++;
            list[count++] = inode;
        }
    }
    *out = list;
    return count;
}

void inode_update(struct inode_table *table, struct inode *inode,
                  const struct tree_attr *attr)
{
    SCOPED_LOCK(&table->lock);
    inode->attr = *attr;
    inode->attr.meta = NULL;
}

struct tree_attr inode_attr(struct inode_table *table, const struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    return inode->attr;
}
