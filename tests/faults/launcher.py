"""Starts ``pggan`` again and again, forked from one process that has imported everything; it reads orders from stdin.

An order is a line of JSON: words, folder, environment, out (folder for stdout and stderr), and a fault for shim.c. The
answers are lines too: the child's process number, and when it has ended its wait status and what the shim has counted.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

KINDS = ("open", "write", "sync", "rename", "unlink", "truncate")


def main() -> None:
    """Obey orders until stdin ends."""
    from pggan_framework.config.discovery import index

    for module in dict.fromkeys(["pggan_framework.cli.train", "pggan_framework.launch.start", "torch._dynamo"]):
        import_module(module)
    for entry in index():
        if entry.module.startswith("pggan_framework"):
            import_module(entry.module)
    import_module("torch").set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        if "shell" in order:  # mounts, in the launcher's own namespace
            done = subprocess.run(order["shell"], shell=True, check=False, capture_output=True, text=True)
            answer: dict[str, Any] = {"status": done.returncode, "said": done.stderr}
        else:
            child = os.fork()
            if child == 0:
                _child(order)
            _tell({"pid": child})
            _, status = os.waitpid(child, 0)
            answer = {"status": status}
        _tell(answer)


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _child(order: dict[str, Any]) -> None:
    status = 70
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN if int(number) in order.get("ignored", ()) else signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, value in order["environment"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        os.chdir(order["folder"])
        if "terminal" in order:
            terminal = os.open(order["terminal"], os.O_RDWR)
            import fcntl
            import termios

            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            for number in (0, 1, 2):
                os.dup2(terminal, number)
        else:
            for number, name in ((0, os.devnull), (1, f"{order['out']}/out"), (2, f"{order['out']}/err")):
                opened = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(opened, number)
                os.close(opened)
            for number, name in enumerate(order.get("streams", ()), 1):
                opened = os.open(name, os.O_WRONLY)
                os.dup2(opened, number)
                os.close(opened)
        shim = ctypes.CDLL(None)
        fault = order.get("fault") or {}
        if hasattr(shim, "fault_arm"):
            shim.fault_arm(
                order["watched"].encode(), fault.get("kind", "none").encode(), fault.get("number", 0),
                fault.get("action", 0), fault.get("repeat", 1),
            )  # fmt: skip
            shim.fault_clock(ctypes.c_long(order.get("clock", 0)))
        for name, limit in order.get("limits", {}).items():
            if name == "AS":  # bytes above what all that is imported takes
                limit += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
        status = import_module("pggan_framework.cli.main").main(order["words"])
        if hasattr(shim, "fault_arm"):
            counts = {kind: shim.fault_count(kind.encode()) for kind in KINDS}
            with open(f"{order['out']}/counts", "w") as file:
                json.dump(counts, file)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # the terminal is gone
                stream.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
