"""The peer of the coordination rows: a queue or a lock of multiprocessing.Manager().

manager.py queue|lock CLIENTS SECONDS

Each client is a process of its own with a proxy of its own. All begin together, warm up for as
long as load.c does, and count whole units (put + get of 100 bytes, acquire + release) for SECONDS.
Prints one JSON line.
"""
import json
import multiprocessing
import sys
import time

WARM_UP_S = 0.2
MESSAGE = b"x" * 100


def queue_unit(queue):
    queue.put(MESSAGE)
    queue.get()


def lock_unit(lock):
    lock.acquire()
    lock.release()


KINDS = {"queue": ("Queue", queue_unit), "lock": ("Lock", lock_unit)}


def repeat(unit, proxy, seconds):
    done, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        unit(proxy)
        done += 1
    return done


def client(kind, proxy, seconds, together, results):
    unit = KINDS[kind][1]
    unit(proxy)
    together.wait()
    repeat(unit, proxy, WARM_UP_S)
    results.put(repeat(unit, proxy, seconds))


def main(kind, clients, seconds):
    with multiprocessing.Manager() as manager:
        proxy = getattr(manager, KINDS[kind][0])()
        together, results = multiprocessing.Barrier(clients), multiprocessing.SimpleQueue()
        processes = [
            multiprocessing.Process(target=client, args=(kind, proxy, seconds, together, results))
            for _ in range(clients)]
        for process in processes:
            process.start()
        done = sum(results.get() for _ in processes)
        for process in processes:
            process.join()
    print(json.dumps({"done": done, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
