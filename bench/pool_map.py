"""The peer of the pool rows: multiprocessing.Pool(8).map of a function that does nothing.

pool_map.py SECONDS

Maps 1000 tasks with chunksize 1, again and again; counts tasks, after one map to warm up. Prints one
JSON line. With the argument `worker` it is forkful's side instead: a worker in mode stdio.
"""
import json
import multiprocessing
import sys
import time

TASKS = range(1000)


def nothing(task):
    return task


def peer(seconds):
    with multiprocessing.Pool(8) as pool:
        pool.map(nothing, TASKS, chunksize=1)
        begun, done = time.monotonic(), 0
        while time.monotonic() - begun < seconds:
            done += len(pool.map(nothing, TASKS, chunksize=1))
        print(json.dumps({"done": done, "seconds": time.monotonic() - begun}))


def worker():
    for line in sys.stdin:
        sys.stdout.write(json.dumps(nothing(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    worker() if sys.argv[1] == "worker" else peer(float(sys.argv[1]))
