-- What the demo lets sqlite3 do: build a database in memory, index it, join and group it, delete and update.
.bail on
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER, stock INTEGER);
CREATE TABLE sale (id INTEGER PRIMARY KEY, item INTEGER, amount INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, printf('item-%05d-%s', i, hex(i * 7919)), (i * 31) % 977, (i * 17) % 101 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
INSERT INTO sale SELECT i, 1 + (i * 7919) % 20000, 1 + (i * 13) % 9, substr('a note of some length', 1, i % 21) FROM n;
COMMIT;
CREATE INDEX sale_item ON sale (item);
CREATE INDEX item_name ON item (name);
SELECT count(*), sum(amount), sum(length(note)) FROM sale;
SELECT price % 10, count(*), sum(price * amount) FROM sale JOIN item ON item.id = sale.item GROUP BY 1 ORDER BY 1;
SELECT name, sum(amount) AS sold FROM item JOIN sale ON sale.item = item.id GROUP BY item.id ORDER BY sold DESC, name LIMIT 20;
SELECT length(group_concat(name, ',')) FROM (SELECT name FROM item ORDER BY price DESC, name);
UPDATE item SET stock = stock - (SELECT sum(amount) FROM sale WHERE sale.item = item.id) WHERE id % 3 = 0;
DELETE FROM sale WHERE amount < 4;
SELECT count(*), sum(stock) FROM item;
SELECT count(DISTINCT note), max(note), min(amount) FROM sale;
SELECT json_group_array(name) FROM (SELECT name FROM item ORDER BY name LIMIT 10);
