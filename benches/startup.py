"""Start to first answered request, and the memory of a server that has nothing to do."""

import os
import socket
import subprocess
import time

from harness import ACCESS_KEY, BARGE, SECRET_KEY, free_port
from harness import arguments, median, memory, mib, milliseconds, scratch, spread, table, times, verdict

AIM_SECONDS, AIM_KIB = 0.100, 30 * 1024
REQUEST = b"GET /_barge/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def start(data):
    """Starts a server; gives it and the seconds to its first answer."""
    port = free_port()
    command = [BARGE, "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", data]
    environment = {**os.environ, "BARGE_ACCESS_KEY_ID": ACCESS_KEY, "BARGE_SECRET_ACCESS_KEY": SECRET_KEY}
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while not answers(port):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        time.sleep(0.0005)
    return process, time.perf_counter() - began


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


def stop(process):
    process.terminate()
    process.wait(timeout=30)


def nothing():
    """Seconds that the same program takes to start and do nothing."""
    began = time.perf_counter()
    subprocess.run([BARGE, "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main():
    options = arguments(__doc__, rounds=(10, "starts of each kind"), idle=(2.0, "seconds until memory is read"))
    first, again, floor, resident, own = [], [], [], [], []
    with scratch() as directory:
        for number in range(options.rounds):
            for kind in (first, again):
                process, seconds = start(directory / f"data-{number}")
                kind.append(seconds)
                if kind is again and number < 3:
                    time.sleep(options.idle)
                    resident.append(memory(process.pid))
                    own.append(memory(process.pid, "RssAnon"))
                stop(process)
            floor.append(nothing())
    beside = f"`barge --version`: {milliseconds(median(floor))}"
    rows = []
    for name, seconds in (("first start, new data directory", first), ("start on the same directory", again)):
        ratio = times(median(seconds) / median(floor))
        rows.append((name, spread(seconds), beside, ratio, f"100 ms: {verdict(median(seconds) <= AIM_SECONDS)}"))
    limit = f"30 MiB: {verdict(median(resident) <= AIM_KIB)}"
    rows.append(("idle, resident", mib(median(resident)), "the aim", times(median(resident) / AIM_KIB), limit))
    rows.append(("  of it not backed by the program's file", mib(median(own))))
    table(f"Start to first answered request (median of {options.rounds}) and idle memory", rows)


if __name__ == "__main__":
    main()
