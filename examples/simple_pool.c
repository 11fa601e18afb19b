/*
 * The simple pool: the nodes of an expression tree come from one pool and vanish by one reset per
 * line, and a wrong free is refused by a status instead of damaging anything.
 *
 *     cc simple_pool.c $(pkg-config --cflags --libs echomem) && ./a.out
 */
#include <stdio.h>

#include "core/memory_pool.h"

/* A number, or an operation on two subtrees. */
struct node {
    char operation; /* '+', '-', '*', or 0 for a number */
    long value;
    struct node *left;
    struct node *right;
};

static struct node *make(struct emp_memory_pool *pool, struct node content)
{
    struct node *node = emp_memory_pool_alloc(pool);

    if (node != NULL) {
        *node = content;
    }
    return node;
}

/* Reads reverse Polish text: digits push, operators join the two topmost trees. */
static struct node *parse(struct emp_memory_pool *pool, const char *text)
{
    struct node *stack[16];
    unsigned depth = 0;

    for (; *text != '\0'; text++) {
        if (*text >= '0' && *text <= '9' && depth < 16) {
            stack[depth++] = make(pool, (struct node){.value = *text - '0'});
        } else if (depth >= 2) {
            stack[depth - 2] = make(pool, (struct node){.operation = *text,
                                                        .left = stack[depth - 2],
                                                        .right = stack[depth - 1]});
            depth--;
        }
        if (depth == 0 || stack[depth - 1] == NULL) {
            return NULL;
        }
    }
    return depth == 1 ? stack[0] : NULL;
}

/* The trees of this example are at most 15 deep, so recursion is fine. */
static long evaluate(const struct node *node)
{
    switch (node->operation) {
    case '+':
        return evaluate(node->left) + evaluate(node->right);
    case '-':
        return evaluate(node->left) - evaluate(node->right);
    case '*':
        return evaluate(node->left) * evaluate(node->right);
    default:
        return node->value;
    }
}

int main(void)
{
    static const char *const lines[] = {"12+3*", "99*9*9*1-", "12345*+-+"};
    static const long results[] = {9, 6560, -20};
    struct emp_memory_pool_config config = emp_memory_pool_config_default(sizeof(struct node));
    struct emp_memory_pool *pool = NULL;
    struct emp_memory_pool_stats stats;

    config.blocks = 4; /* grows as needed */
    if (emp_memory_pool_create(&config, &pool) != EMP_OK) {
        return 1;
    }
    for (unsigned i = 0; i < 3; i++) {
        struct node *tree = parse(pool, lines[i]);

        if (tree == NULL || evaluate(tree) != results[i]) {
            return 1;
        }
        printf("%-12s = %ld\n", lines[i], evaluate(tree));
        if (emp_memory_pool_free(pool, tree) != EMP_OK ||
            emp_memory_pool_free(pool, tree) != EMP_ERR_INVALID) {
            return 1; /* the second free must be refused */
        }
        emp_memory_pool_reset(pool);
    }
    emp_memory_pool_get_stats(pool, &stats);
    printf("%zu blocks of %zu bytes, at most %zu in use, %llu double frees refused\n",
           stats.capacity, stats.block_bytes, stats.high_water, (unsigned long long)stats.misuses);
    return emp_memory_pool_destroy(pool, NULL) == EMP_OK && stats.misuses == 3 ? 0 : 1;
}
