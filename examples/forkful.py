"""What the Python examples need of forkful: a call, and processes made of the functions of one program.

The program is parent and child: main(parent, f, g) runs `parent` in a session of its own; start(f, x) asks the
daemon for a process that runs the same file again and comes to f(x). As in multiprocessing, the parent's end
joins the other processes and ends the daemonic ones. What make() makes goes with the session.
"""
import json, os, pathlib, sys, threading, urllib.error, urllib.request, uuid

URL = os.environ.get("FORKFUL_URL", "http://127.0.0.1:8717")
NAME = os.environ.get("FORKFUL_PROCESS_NAME", "MainProcess")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
started = []


def find_token():
    home = os.environ.get("XDG_STATE_HOME", os.path.expanduser("~/.local/state"))
    file = "/var/lib/forkful/token" if os.geteuid() == 0 else home + "/forkful/token"
    file = os.environ.get("FORKFUL_TOKEN_FILE", file)
    return os.environ.get("FORKFUL_TOKEN") or pathlib.Path(file).read_text().strip()


def ask(method, path, body=None, accept="application/json"):
    data = json.dumps(body).encode() if body is not None else None if method == "GET" else b""
    headers = {"Authorization": f"Bearer {token}", "Accept": accept, "Content-Type": "application/json"}
    try:
        return OPENER.open(urllib.request.Request(URL + path, data, headers, method=method))
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None


def call(method, path, body=None):
    with ask(method, path, body) as answer:
        return json.loads(answer.read() or "null")


def make(kind, **config):
    """Makes an object with a name of its own and gives its path: make("queues") -> /v1/queues/x-…"""
    return f"/v1/{kind}/" + call("PUT", f"/v1/{kind}/x-{uuid.uuid4()}", {"lifetime": "owner", **config})["name"]


def command(target, *args):
    """The argv of a process that runs this file again and comes to target(*args)."""
    return [sys.executable, "-B", "-u", os.path.abspath(sys.argv[0]), target.__name__, json.dumps(args)]


def serve(function):
    """The life of a pool's worker in mode stdio: a line of JSON in, a line of JSON out, until the input ends."""
    for line in sys.stdin:
        print(json.dumps(function(json.loads(line))), flush=True)


def start(target, *args, **spec):
    """Process(target, args).start(): gives the record. What it prints is printed here as it comes."""
    process = call("POST", "/v1/processes", {"argv": command(target, *args), **spec})
    process["output"] = threading.Thread(target=follow, args=(process["id"],), daemon=True)
    process["output"].start()
    started.append(process)
    return process


def follow(process_id):
    for line in ask("GET", f"/v1/processes/{process_id}/logs?follow=true", accept="text/plain"):
        os.write(1, line)


def join(process):
    process["output"].join()
    return call("GET", f"/v1/processes/{process['id']}/join?wait=60")


def main(parent, *targets):
    global token
    if len(sys.argv) > 1:
        return {one.__name__: one for one in targets}[sys.argv[1]](*json.loads(sys.argv[2]))
    sys.stdout.reconfigure(line_buffering=True)  # whole lines, like those of follow()
    session = call("POST", "/v1/sessions", {"ttl_seconds": 300})
    admin, token = token, session["token"]
    try:
        parent()
        for process in started:
            if not process["daemon"]:
                join(process)
    finally:
        token = admin
        call("DELETE", f"/v1/sessions/{session['id']}")


token = find_token()
