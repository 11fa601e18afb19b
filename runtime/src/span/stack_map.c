/*
 * Purpose: see stack_map.h. Which guard the system offers is tried once, when a map is opened.
 * Owner:   span. Threads: any; no locks.
 * Design:  [span.proto.stack-map]
 * Source:  Linux madvise(2) MADV_GUARD_INSTALL (6.13); a madvise that empties a page table frees it
 *          (CONFIG_PT_RECLAIM, 6.14). Guards by mprotect cost two mappings each, of 65530.
 * Cost:    guard half a microsecond, purge two per slot, strip half a one per slot (6.18,
 *          measured).
 */
#include "span/stack_map.h"

#include "base/align.h"
#include "base/check.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "os/os_sparse.h"
#include "sync/atomic.h"

#define GUARD_BYTES_MAX ((size_t)64 << 10)
#define GUARD_PART      4u /* of a slot is guard, up to the maximum */
#define SLOTS_LEAST     16u
#define MAPPINGS_MAX    8192u /* guards that cost two mappings each; a quarter of the usual limit */
#define TABLE_BYTES     ((size_t)2 << 20) /* what one page of page tables covers */

/* What this system offers; tried on the last slot, which is used last. */
static enum emp_stack_guard map_probe(const struct emp_stack_map *map)
{
    char *const base = map->base + ((size_t)(map->slots - 1) << map->shift);

    if (!emp_os_guard(base, map->guard_bytes)) {
        return EMP_STACK_GUARD_MAPPING;
    }
    const bool is_closed = emp_os_is_closed(base);

    (void)emp_os_unguard(base, map->guard_bytes);
    return is_closed ? EMP_STACK_GUARD_LIGHT : EMP_STACK_GUARD_MAPPING;
}

bool emp_stack_map_open(struct emp_stack_map *map, uint32_t shift, uint32_t slots_max)
{
    const size_t page = emp_os_page_bytes();
    size_t align = TABLE_BYTES;

    while (((size_t)1 << shift) < page * GUARD_PART) {
        shift++;
    }
    const size_t slot_bytes = (size_t)1 << shift;

    align = align < slot_bytes ? slot_bytes : align;
    *map = (struct emp_stack_map){.shift = shift};
    size_t guard = slot_bytes / GUARD_PART;

    map->guard_bytes = (uint32_t)(guard < GUARD_BYTES_MAX ? guard : GUARD_BYTES_MAX);
    for (uint32_t slots = slots_max; slots >= SLOTS_LEAST; slots /= 2) {
        const size_t bytes = (size_t)slots << shift;

        /* Not more than an eighth of a limited address space. */
        if (bytes <= emp_os_address_limit() / 8) {
            map->base = emp_os_map_sparse(bytes, align);
        }
        if (map->base != NULL) {
            map->slots = slots;
            emp_os_name_range(map->base, bytes, "echomem stacks");
            map->kind = map_probe(map);
            return true;
        }
    }
    return false;
}

void emp_stack_map_close(struct emp_stack_map *map)
{
    if (map->base != NULL) {
        (void)emp_os_unmap(map->base, (size_t)map->slots << map->shift);
        map->base = NULL;
    }
}

void *emp_stack_map_table(size_t bytes)
{
    return emp_os_map_sparse(bytes, emp_os_page_bytes());
}

void emp_stack_map_table_end(void *table, size_t bytes)
{
    (void)emp_os_unmap(table, emp_align_up(bytes, emp_os_page_bytes()));
}

enum emp_stack_guard emp_stack_map_guard(struct emp_stack_map *map, uint32_t slot)
{
    char *const base = map->base + ((size_t)slot << map->shift);

    emp_assert(slot < map->slots);
    if (map->kind == EMP_STACK_GUARD_LIGHT && emp_os_guard(base, map->guard_bytes)) {
        return EMP_STACK_GUARD_LIGHT;
    }
    /* order(stack-guards): relaxed; a bound, nothing comes with it */
    if (emp_fetch_add_relaxed(&map->mappings, 1u) < MAPPINGS_MAX &&
        emp_os_close(base, map->guard_bytes)) {
        return EMP_STACK_GUARD_MAPPING;
    }
    /* order(stack-guards): relaxed; who takes the slot is ordered by the pool's lists */
    emp_store_relaxed(&map->is_weak, 1u);
    return EMP_STACK_GUARD_WORD;
}

bool emp_stack_map_is_weak(const struct emp_stack_map *map)
{
    /* order(stack-guards): relaxed; as above */
    return emp_load_relaxed(&map->is_weak) != 0;
}

bool emp_stack_map_purge(const struct emp_stack_map *map, uint32_t slot, uint32_t count)
{
    if (map->kind == EMP_STACK_GUARD_LIGHT) {
        return emp_os_purge(emp_stack_map_low(map, slot),
                            ((size_t)count << map->shift) - map->guard_bytes);
    }
    /* Where purging does not zero, the os room writes zeroes, and closed guards do not let it. */
    bool ok = true;

    for (uint32_t i = 0; i < count; i++) {
        ok = emp_os_purge(emp_stack_map_low(map, slot + i), emp_stack_map_bytes(map)) && ok;
    }
    return ok;
}

bool emp_stack_map_strip(const struct emp_stack_map *map, uint32_t slot, uint32_t count)
{
    char *const base = map->base + ((size_t)slot << map->shift);
    const size_t bytes = (size_t)count << map->shift;

    return map->kind == EMP_STACK_GUARD_LIGHT && emp_os_unguard(base, bytes) &&
           emp_os_purge(base, bytes);
}

size_t emp_stack_map_used(const struct emp_stack_map *map, uint32_t slot)
{
    return emp_os_resident_tail(emp_stack_map_low(map, slot), emp_stack_map_bytes(map));
}

uint32_t emp_stack_map_group(const struct emp_stack_map *map)
{
    const size_t group = TABLE_BYTES >> map->shift;

    return group == 0 ? 1u : (uint32_t)group;
}
