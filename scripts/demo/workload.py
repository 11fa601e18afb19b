"""What the demo lets python3 do: coroutines and threads that make, sort, join and drop many small objects."""

import asyncio
import hashlib
import json
import random
import threading

TASKS, ROUNDS, THREADS = 400, 12, 4


def records(seed, count):
    chance = random.Random(seed)
    return [
        {"id": n, "name": "".join(chance.choices("abcdefgh", k=chance.randint(4, 24))), "tags": [n % 7, n % 11]}
        for n in range(count)
    ]


def digest(items):
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()


async def worker(number, queue):
    kept = []
    for step in range(ROUNDS):
        kept += records(number * 1000 + step, 12)
        await asyncio.sleep(0)
        kept = sorted(kept, key=lambda record: record["name"])[::2]
    await queue.put((number, digest(kept)))


async def run_tasks():
    queue = asyncio.Queue()
    await asyncio.gather(*(worker(number, queue) for number in range(TASKS)))
    return sorted([queue.get_nowait() for _ in range(TASKS)])


def run_thread(number, results):
    words = {}
    for record in records(number, 20_000):
        words.setdefault(record["name"][:3], []).append(record["id"])
    results[number] = digest(sorted(words.items()))


def main():
    results = {}
    threads = [threading.Thread(target=run_thread, args=(n, results)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    finished = asyncio.run(run_tasks())
    for thread in threads:
        thread.join()
    for number, text in finished[:: TASKS // 20]:
        print("task", number, text)
    for number in sorted(results):
        print("thread", number, results[number])
    print("all", digest([finished, sorted(results.items())]))


main()
