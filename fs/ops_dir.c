/* SPDX-License-Identifier: Apache-2.0 */
/* ops_dir.c - reading directories. Layer 5.
 * A bucket's directory is read from its tree, page by page, by cookies that stay; opendir waits
 * until the tree is complete. kv/ and obj/ are read from a list that opendir took.
 */
#include "fs/ops.h"

#include "core/cleanup.h"
#include "fs/attr.h"
#include "fs/control.h"
#include "fs/scratch.h"
#include "fs/special.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DOTS 2           /* offsets 1 and 2 stand behind "." and ".." */
#define FIRST_COOKIE 3   /* offset 3 behind .jsfs, shown or not */
#define UNKNOWN_NUMBER 0xffffffff /* d_ino that is not told, as in fuse.h */
#define PAGE_MOST 512    /* names taken from the tree at once */
#define FIRST_PLUS 65536 /* [bytes] of a directory's first answer with attributes: some 370 names */

struct listed {
    char *name;
    mode_t type; /* S_IFDIR …; 0: not told */
};

/* An open directory; in fi->fh. */
struct listing {
    struct listed *names; /* what a special, kv/, obj/ or the top holds; NULL for buckets */
    size_t count;
    bool pages; /* a special's: names, then what its `list` gives */
};

static void listing_free(struct listing *listing)
{
    if (listing == NULL)
        return;
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i].name);
    free(listing->names);
    free(listing);
}

static struct listing *listing_of(const struct fuse_file_info *info)
{
    return (struct listing *)(uintptr_t)info->fh; /* NOLINT(performance-no-int-to-ptr) */
}

static bool listing_fill(struct listing *listing, const struct dir_name *names, size_t count)
{
    listing->names = calloc(count + 1, sizeof(*listing->names));
    if (listing->names == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        listing->names[i] = (struct listed){strdup(names[i].name), names[i].type};
        if (listing->names[i].name == NULL)
            return false;
        listing->count++;
    }
    return true;
}

/* The kernel may keep a bucket's listing while every change is told. It answers the next one from
 * that only where it has the attributes too: without them each that is asked for would be a lookup
 * of its own, which is slower than to have the listing again with all of them. */
static void reply_opendir(struct op *op, struct listing *listing)
{
    struct bucket *bucket = op->inode->bucket;
    bool live = op->inode->special == NULL && bucket != NULL && !op->moved &&
                bucket_is_live(bucket);

    op->info.fh = (uint64_t)(uintptr_t)listing;
    op->info.cache_readdir = live;
    op->info.keep_cache = live && atomic_load(&op->inode->listed_plus);
    if (!op_claim(op) || fuse_reply_open(op->request, &op->info) < 0)
        listing_free(listing);
    op_done(op);
}

static void open_listing(struct op *op, const struct dir_name *names, size_t count, bool pages)
{
    struct listing *listing = calloc(1, sizeof(*listing));

    bool from_tree = op->inode->kind == INODE_BUCKET || op->inode->kind == INODE_DIRECTORY;

    if (listing == NULL || (!from_tree && !listing_fill(listing, names, count))) {
        listing_free(listing);
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    listing->pages = pages;
    reply_opendir(op, listing);
}

void dir_open_names(struct op *op, const struct dir_name *names, size_t count)
{
    open_listing(op, names, count, false);
}

void dir_open_pages(struct op *op, const struct dir_name *names, size_t count)
{
    open_listing(op, names, count, true);
}

static void buckets_listed(void *arg, enum jsfs_status status, const char *const *names,
                           size_t count)
{
    struct op *op = arg;

    CLEANUP(cleanup_free) struct dir_name *items = NULL;

    if (status == JSFS_OK) {
        items = calloc(count + 1, sizeof(*items));
        if (items == NULL)
            status = JSFS_NO_MEMORY;
    }
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = (struct dir_name){names[i], S_IFDIR};
    dir_open_names(op, items, count);
}

static void bucket_listed(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        dir_open_names(op, NULL, 0);
}

void op_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    static const struct dir_name top[] = {{"kv", S_IFDIR}, {"obj", S_IFDIR}};
    const struct special_ops *special;
    struct op *op = op_new(request, "opendir", number);

    if (op == NULL)
        return;
    op->info = *info;
    switch (op->inode->kind) {
    case INODE_ROOT: dir_open_names(op, top, 2); break;
    case INODE_KV_ROOT:
        catalog_list(op->fs->catalog, STORE_KV, buckets_listed, op);
        break;
    case INODE_OBJECT_ROOT:
        catalog_list(op->fs->catalog, STORE_OBJECT, buckets_listed, op);
        break;
    case INODE_BUCKET:
    case INODE_DIRECTORY: bucket_wait_listed(op->inode->bucket, bucket_listed, op); break;
    case INODE_FILE:
    case INODE_LINK: op_reply_errno(op, ENOTDIR); break;
    case INODE_SPECIAL:
        special = special_of(op, SPECIAL_INODE);
        if (special->opendir != NULL)
            special->opendir(op);
        else
            op_reply_errno(op, ENOTDIR);
        break;
    }
    op_park(op);
}

void op_releasedir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void)number;
    listing_free(listing_of(info));
    fuse_reply_err(request, 0);
}

/* One reply being filled. */
struct page {
    struct op *op;
    char *data;
    size_t size, used; /* [bytes] */
    bool plus;
    bool full; /* an entry did not fit */
};

/* An entry with attributes gives the kernel a reference, so room is checked before. */
static bool add_plus(struct page *page, const char *name, struct inode *inode, off_t offset)
{
    struct fs *fs = page->op->fs;
    size_t room = page->size - page->used;
    struct fuse_entry_param entry = {.ino = inode->number};

    if (fuse_add_direntry_plus(page->op->request, NULL, 0, name, NULL, 0) > room)
        return false;
    entry.attr_timeout = attr_of(fs, inode, &entry.attr);
    entry.entry_timeout = page->op->moved ? 0 : attr_entry_timeout(fs, inode);
    inode_remember(fs->inodes, inode);
    page->used += fuse_add_direntry_plus(page->op->request, page->data + page->used, room, name,
                                         &entry, offset);
    return true;
}

/* An entry that gives the kernel no reference: nodeid 0 (reference fuse.md §1.2). */
static bool add_bare(struct page *page, const char *name, const struct fuse_entry_param *entry,
                     off_t offset)
{
    size_t room = page->size - page->used;
    char *place = page->data + page->used;
    size_t need = page->plus ? fuse_add_direntry_plus(page->op->request, place, room, name,
                                                      entry, offset)
                             : fuse_add_direntry(page->op->request, place, room, name,
                                                 &entry->attr, offset);

    if (need > room)
        return false;
    page->used += need;
    return true;
}

static bool add_dots(struct page *page, off_t offset)
{
    const struct inode *inode = page->op->inode;
    const struct inode *parent = inode->parent != NULL ? inode->parent : inode;

    for (off_t dot = offset; dot < DOTS; dot++) {
        struct fuse_entry_param entry = {
            .attr = {.st_ino = dot == 0 ? inode->shown_number : parent->shown_number,
                     .st_mode = S_IFDIR},
        };

        if (!add_bare(page, dot == 0 ? "." : "..", &entry, dot + 1))
            return false;
    }
    return true;
}

/* What is reached by its path only, unless it is to be shown. */
static bool add_control(struct page *page, off_t offset)
{
    struct inode *inode = page->op->inode;
    struct fs *fs = page->op->fs;

    if (offset >= FIRST_COOKIE || inode->kind != INODE_BUCKET || !fs->config->show_control)
        return true;
    struct inode_target target = {
        .kind = INODE_SPECIAL, .bucket = inode->bucket, .path = CONTROL_NAME};
    struct fuse_entry_param entry = {
        .attr = {.st_ino = inode_shown_number(fs->inodes, inode, CONTROL_NAME, &target),
                 .st_mode = S_IFDIR},
    };
    return add_bare(page, CONTROL_NAME, &entry, FIRST_COOKIE);
}

static bool add_item(struct page *page, const struct tree_item *item)
{
    struct fs *fs = page->op->fs;
    struct inode *directory = page->op->inode;
    CLEANUP(cleanup_free) char *path = op_child_path(directory, item->name);
    off_t offset = (off_t)item->cookie + FIRST_COOKIE;
    bool added;

    if (path == NULL)
        return false;
    struct inode_target target = op_target(directory->bucket, path, &item->attr);
    if (!page->plus) {
        struct fuse_entry_param entry = {.ino = 0};

        attr_from(fs, &target,
                  inode_shown_number(fs->inodes, directory, item->name, &target), &entry.attr);
        return add_bare(page, item->name, &entry, offset);
    }
    struct inode *inode = inode_bind(fs->inodes, directory, item->name, &target);
    if (inode == NULL)
        return false;
    added = add_plus(page, item->name, inode, offset);
    inode_put(fs->inodes, inode);
    return added;
}

static bool add_scratch(void *arg, const char *name, mode_t type, uint64_t number,
                        uint64_t cookie)
{
    struct page *page = arg;
    struct fuse_entry_param entry = {.attr = {.st_ino = number, .st_mode = type}};

    page->full = !add_bare(page, name, &entry, (off_t)cookie);
    return !page->full;
}

static enum jsfs_status fill_from_tree(struct page *page, off_t offset)
{
    struct inode *directory = page->op->inode;
    struct tree *tree = bucket_tree(directory->bucket);
    uint64_t cookie = offset > FIRST_COOKIE ? (uint64_t)(offset - FIRST_COOKIE) : 0;

    for (;;) {
        struct tree_page items;
        enum jsfs_status status =
            tree_list(tree, directory->path, cookie, PAGE_MOST, &items);

        if (status != JSFS_OK)
            return status;
        for (size_t i = 0; i < items.count && !page->full; i++) {
            page->full = !add_item(page, &items.items[i]);
            cookie = items.items[i].cookie;
        }
        bool end = items.end;
        tree_page_clear(&items);
        if (page->full || end)
            return JSFS_OK;
    }
}

static uint64_t shown_number_in(const struct inode *directory, const char *name)
{
    switch (directory->kind) {
    case INODE_KV_ROOT: return inode_bucket_number(STORE_KV, name);
    case INODE_OBJECT_ROOT: return inode_bucket_number(STORE_OBJECT, name);
    case INODE_ROOT: return strcmp(name, "kv") == 0 ? INODE_NUMBER_KV : INODE_NUMBER_OBJECT;
    default: return UNKNOWN_NUMBER;
    }
}

/* Buckets and specials are looked up when they are used, so no entry here has attributes.
 *   returns   false: the page is full */
static bool fill_from_names(struct page *page, const struct listing *listing, off_t offset)
{
    for (size_t i = offset > FIRST_COOKIE ? (size_t)(offset - FIRST_COOKIE) : 0;
         i < listing->count; i++) {
        const struct listed *item = &listing->names[i];
        struct fuse_entry_param entry = {
            .attr = {.st_ino = shown_number_in(page->op->inode, item->name),
                     .st_mode = item->type},
        };

        page->full = !add_bare(page, item->name, &entry, (off_t)i + 1 + FIRST_COOKIE);
        if (page->full)
            return false;
    }
    return true;
}

static enum jsfs_status fill_from_special(struct page *page, off_t behind, off_t offset)
{
    struct inode *directory = page->op->inode;
    uint64_t cookie = offset > behind ? (uint64_t)(offset - behind) : 0;
    struct tree_page items = {.end = false};

    while (!page->full && !items.end) {
        enum jsfs_status status = directory->special->ops->list(directory, &cookie, &items);

        if (status != JSFS_OK)
            return status;
        for (size_t i = 0; i < items.count && !page->full; i++) {
            const struct tree_item *item = &items.items[i];
            mode_t type = item->attr.type == TREE_DIRECTORY ? S_IFDIR : S_IFREG;
            struct fuse_entry_param entry = {
                .attr = {.st_ino = UNKNOWN_NUMBER, .st_mode = type},
            };

            page->full = !add_bare(page, item->name, &entry, behind + (off_t)item->cookie);
        }
        bool end = items.end;
        tree_page_clear(&items);
        items.end = end;
    }
    return JSFS_OK;
}

/* What opendir took a list of, and what comes behind it. */
static enum jsfs_status fill_from_listing(struct page *page, const struct listing *listing,
                                          off_t offset)
{
    bool all = fill_from_names(page, listing, offset);

    if (!all || !listing->pages)
        return JSFS_OK;
    return fill_from_special(page, FIRST_COOKIE + (off_t)listing->count, offset);
}

/* An empty answer only says that the end was reached before. */
static void note_listing(const struct page *page, off_t offset)
{
    if (page->used > 0)
        atomic_store(&page->op->inode->listed_plus,
                     page->plus && (offset > 0 || !page->full));
}

/* The kernel counts what it got even when a later entry did not fit, so once a reply was filled
 * it is sent; only an interrupted one loses references, which the unmount frees.
 */
static void read_directory(struct op *op, const struct listing *listing, bool plus)
{
    CLEANUP(cleanup_free) char *data = malloc(op->size);
    struct page page = {.op = op, .data = data, .size = op->size, .plus = plus};
    enum jsfs_status status = JSFS_OK;
    off_t offset = (off_t)op->offset;

    if (data == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    if (add_dots(&page, offset) && add_control(&page, offset)) {
        if ((uint64_t)offset >= SCRATCH_COOKIE)
            ; /* all but scratch files have been told */
        else if (listing->names != NULL)
            status = fill_from_listing(&page, listing, offset);
        else
            status = fill_from_tree(&page, offset);
        if (status == JSFS_OK && !page.full)
            scratch_list(op->fs, op->inode, (uint64_t)offset, add_scratch, &page);
    }
    if (status == JSFS_NOT_FOUND) /* removed while it was open: an empty directory */
        status = JSFS_OK;
    note_listing(&page, offset);
    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        op_reply_buffer(op, page.data, page.used);
}

static void start_reading(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                          const struct fuse_file_info *info, bool plus)
{
    struct op *op = op_new(request, "readdir", number);

    if (op == NULL)
        return;
    op->size = plus && offset == 0 && size > FIRST_PLUS ? FIRST_PLUS : size;
    op->offset = (uint64_t)offset;
    read_directory(op, listing_of(info), plus);
    op_park(op);
}

void op_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                struct fuse_file_info *info)
{
    start_reading(request, number, size, offset, info, false);
}

/* The kernel asks for attributes at the start of every directory, and goes on to do so only when
 * they are used. Each that it is given costs it and us an inode, so the first answer is small:
 * find(1) over a million names leaves few inodes behind. */
void op_readdirplus(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
    start_reading(request, number, size, offset, info, true);
}
