/*
 * The general allocator and a pool made at run time: counts the words of a text. The words come
 * from emp_malloc, the table grows by emp_realloc, the entries are objects of a named pool.
 *
 *     cc general_pool.c $(pkg-config --cflags --libs echomem) && ./a.out
 *
 * A program that calls plain malloc needs no change: LD_PRELOAD=libechomem_malloc.so ./program
 */
#include <stdio.h>
#include <string.h>

#include "core/advanced_memory_pool.h"

struct entry {
    char *word;
    unsigned count;
};

/* The entries in order of appearance. */
struct table {
    struct emp_pool *pool;
    struct entry **entries;
    size_t length;
    size_t room;
};

/* A copy of the word in memory of its own. */
static char *copy_word(const char *word, size_t length)
{
    char *copy = emp_malloc(length + 1);

    if (copy != NULL) {
        memcpy(copy, word, length);
        copy[length] = '\0';
    }
    return copy;
}

/* Counts one word; false when memory ran out. */
static bool count_word(struct table *table, const char *word, size_t length)
{
    for (size_t i = 0; i < table->length; i++) {
        if (strncmp(table->entries[i]->word, word, length) == 0 &&
            table->entries[i]->word[length] == '\0') {
            table->entries[i]->count++;
            return true;
        }
    }
    if (table->length == table->room) {
        size_t room = table->room * 2 + 2;
        struct entry **grown = emp_realloc(table->entries, room * sizeof *grown);

        if (grown == NULL) {
            return false;
        }
        table->entries = grown;
        table->room = room;
    }
    struct entry *entry = emp_pool_alloc(table->pool);
    char *copy = copy_word(word, length);
    if (entry == NULL || copy == NULL) {
        emp_pool_free(table->pool, entry);
        emp_free(copy);
        return false;
    }
    *entry = (struct entry){.word = copy, .count = 1};
    table->entries[table->length++] = entry;
    return true;
}

int main(void)
{
    const char *text = "the pool gives the block and the thread gives the block back to the pool";
    struct emp_pool_config config = emp_pool_config_default(sizeof(struct entry));
    struct table table = {0};
    size_t live = 1;

    config.name = "entries";
    if (emp_pool_create(&config, &table.pool) != EMP_OK) {
        return 1;
    }
    for (size_t length; *text != '\0'; text += length + (text[length] == ' ')) {
        length = strcspn(text, " ");
        if (!count_word(&table, text, length)) {
            return 1;
        }
    }
    bool is_right = table.length == 8 && table.entries[0]->count == 5;
    for (size_t i = 0; i < table.length; i++) {
        printf("%-8s %u\n", table.entries[i]->word, table.entries[i]->count);
        emp_free(table.entries[i]->word);
        emp_pool_free(table.pool, table.entries[i]);
    }
    emp_free(table.entries);
    is_right = emp_pool_destroy(table.pool, &live) == EMP_OK && live == 0 && is_right;
    printf("%zu words, %zu entries left behind\n", table.length, live);
    return is_right ? 0 : 1;
}
