/*
 * Purpose: the real programs that must give the same output with the drop-in as without: what
 *          each is given to do, and how many allocations prove that the drop-in served it.
 * Owner:   tests of the drop-in; used by programs_test.
 */
#ifndef EMP_TESTS_DROPIN_PROGRAM_ROWS_H
#define EMP_TESTS_DROPIN_PROGRAM_ROWS_H

#include <stddef.h>

/* One program. */
struct program_row {
    const char *name;
    const char *needs[4];          /* programs that must be in PATH, NULL-terminated */
    const char *argv[10];          /* NULL-terminated */
    const char *variable;          /* NAME=VALUE, or NULL */
    const char *input;             /* its standard input */
    unsigned long long served_min; /* allocations from the shared tiers, of its largest process */
};

static const char python_input[] =
    "import asyncio, hashlib, json, threading\n"
    "async def work(n):\n"
    "    kept = []\n"
    "    for step in range(20):\n"
    "        for i in range(60):\n"
    "            kept.append({'id': i, 'name': 'x' * (i % 40), 'tags': [i % 7, str(i)]})\n"
    "        await asyncio.sleep(0)\n"
    "        kept = sorted(kept, key=lambda r: (r['name'], r['id']))[::2]\n"
    "    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()\n"
    "async def main():\n"
    "    for line in await asyncio.gather(*(work(n) for n in range(60))):\n"
    "        print(line)\n"
    "found = {}\n"
    "def count(n):\n"
    "    words = {}\n"
    "    for i in range(20000):\n"
    "        words.setdefault(str(i * 7919 % 1009), []).append(i)\n"
    "    found[n] = hashlib.sha256(json.dumps(sorted(words.items())).encode()).hexdigest()\n"
    "threads = [threading.Thread(target=count, args=(n,)) for n in range(4)]\n"
    "[t.start() for t in threads]\n"
    "asyncio.run(main())\n"
    "[t.join() for t in threads]\n"
    "print(sorted(found.items()))\n";

static const char sqlite_input[] =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value INTEGER);\n"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)\n"
    "INSERT INTO t SELECT i, printf('name-%d', i * 7919 % 30011), i * 31 % 977 FROM n;\n"
    "CREATE INDEX by_name ON t (name);\n"
    "SELECT value % 10, count(*), sum(value), min(name), max(name) FROM t GROUP BY 1 ORDER BY 1;\n"
    "DELETE FROM t WHERE value < 500;\n"
    "SELECT count(*), group_concat(name) FROM (SELECT name FROM t ORDER BY name LIMIT 500);\n"
    "SELECT json_group_object(name, value) FROM (SELECT * FROM t ORDER BY id LIMIT 50);\n";

static const char perl_input[] =
    "use strict; my %seen; my @list;\n"
    "for my $i (1 .. 60000) { my $k = 'k' . ($i * 7919 % 5003); push @{$seen{$k}}, \"v$i\"; }\n"
    "for my $k (sort keys %seen) { push @list, \"$k=\" . join(',', @{$seen{$k}}); }\n"
    "my $text = join(\"\\n\", @list); $text =~ s/(\\d+)/<$1>/g;\n"
    "print length($text), ' ', unpack('%32C*', $text), \"\\n\", substr($text, 0, 2000), \"\\n\";\n";

static const char git_input[] =
    "set -e\n"
    "folder=$(mktemp -d)\n"
    "trap 'rm -rf \"$folder\"' EXIT\n"
    "cd \"$folder\"\n"
    "export HOME=$folder GIT_CONFIG_NOSYSTEM=1 LC_ALL=C TZ=UTC\n"
    "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n"
    "git init -q -b main .\n"
    "for i in 1 2 3 4 5 6; do\n"
    "  export GIT_AUTHOR_DATE=\"2001-02-03T04:05:0$i\"\n"
    "  export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE\n"
    "  for f in 1 2 3 4 5 6 7 8; do seq $((i * f)) $((i * f + 300)) > file$f; done\n"
    "  git add . && git commit -q -m \"change $i\"\n"
    "done\n"
    "git log --stat -p --format='%H %s'\n"
    "git gc -q && git fsck --full && git rev-parse HEAD && git blame file3 | tail -n 20\n";

static const char gcc_input[] =
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "struct node { struct node *left, *right; int key; char name[20]; };\n"
    "static struct node *insert(struct node *n, int key) {\n"
    "  if (!n) { n = calloc(1, sizeof *n); n->key = key; n->name[0] = 'n'; return n; }\n"
    "  if (key < n->key) n->left = insert(n->left, key); else n->right = insert(n->right, key);\n"
    "  return n; }\n"
    "static long sum(const struct node *n) {\n"
    "  return n ? n->key + sum(n->left) + sum(n->right) : 0; }\n"
    "#define F(x) int f##x(int *a, int n) { int s = x; \\\n"
    "  for (int i = 0; i < n; i++) s += a[i] * x; return s; }\n"
    "F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16)\n"
    "int main(void) { struct node *r = 0;\n"
    "  for (int i = 0; i < 1000; i++) r = insert(r, i * 7919 % 1009);\n"
    "  printf(\"%ld\\n\", sum(r)); return 0; }\n";

static const char node_input[] =
    "const crypto = require('crypto'); const zlib = require('zlib');\n"
    "let parts = [];\n"
    "for (let i = 0; i < 600; i++) {\n"
    "  const data = Buffer.alloc(1000 + i * 50, 'line ' + i);\n"
    "  parts.push(crypto.createHash('sha256').update(zlib.deflateSync(data)).digest('hex'));\n"
    "}\n"
    "setTimeout(() => { console.log(parts.length, parts.sort().slice(0, 40).join('\\n')); }, 5);\n";

static const char redis_input[] =
    "folder=$(mktemp -d)\n"
    "trap 'rm -rf \"$folder\"' EXIT\n"
    "redis-server --port 0 --unixsocket \"$folder/s\" --save '' --appendonly no --daemonize no \\\n"
    "  --dir \"$folder\" --logfile \"$folder/log\" &\n"
    "server=$!\n"
    "for i in $(seq 100); do [ -S \"$folder/s\" ] && break; sleep 0.05; done\n"
    "LD_PRELOAD= redis-cli -s \"$folder/s\" EVAL \"for i = 1, 20000 do "
    "redis.call('SET', 'k' .. i, string.rep('v', i % 700)) "
    "redis.call('HSET', 'h' .. i % 50, i, 'field ' .. i) "
    "redis.call('ZADD', 'z', i * 7919 % 10007, 'member' .. i) end "
    "return redis.call('DBSIZE')\" 0\n"
    "LD_PRELOAD= redis-cli -s \"$folder/s\" <<'END'\n"
    "ZRANGE z 0 20 WITHSCORES\n"
    "HLEN h7\n"
    "GET k699\n"
    "MEMORY PURGE\n"
    "FLUSHALL\n"
    "DBSIZE\n"
    "END\n"
    "LD_PRELOAD= redis-cli -s \"$folder/s\" SHUTDOWN NOSAVE\n"
    "wait $server\n"
    "echo ended with $?\n";

static const struct program_row program_rows[] = {
    {"python3",
     {"/usr/bin/python3"},
     {"/usr/bin/python3", "-"},
     "PYTHONMALLOC=malloc",
     python_input,
     100000},
    {"sqlite3", {"sqlite3"}, {"sqlite3", ":memory:"}, NULL, sqlite_input, 1000},
    {"perl", {"perl"}, {"perl", "-"}, NULL, perl_input, 100000},
    {"git", {"git"}, {"sh", "-s"}, NULL, git_input, 700},
    {"gcc", {"gcc"}, {"gcc", "-O2", "-S", "-x", "c", "-o", "-", "-"}, NULL, gcc_input, 4000},
    {"node", {"node"}, {"node", "-"}, NULL, node_input, 20000},
    {"redis-server", {"redis-server", "redis-cli"}, {"sh", "-s"}, NULL, redis_input, 100000},
};

#endif
