"""What the benchmarks share: a server on a scratch directory, medians, and the table that each of them prints."""

import argparse
import contextlib
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE, DEBUG = ROOT / "target/release/barge", ROOT / "target/debug/barge"
# conftest reads it when it is imported: what is measured is the release build where there is one.
os.environ.setdefault("BARGE", str(RELEASE if RELEASE.exists() else DEBUG))
sys.path.insert(0, str(ROOT / "tests"))

from conftest import ACCESS_KEY, ACCOUNT, BARGE, EXAMPLE, REGION, SECRET_KEY, BatchBench, Server, free_port, needs  # noqa: E402, F401


def arguments(description, **options):
    """The command line: each option is its default value and its help."""
    parser = argparse.ArgumentParser(description=description)
    for name, (default, text) in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{text} [{default}]")
    return parser.parse_args()


@contextlib.contextmanager
def scratch():
    """A directory for one benchmark, removed afterwards. BENCH_DIR says on which disk; by default the one of TMPDIR."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="barge-bench-", dir=os.environ.get("BENCH_DIR")))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def server(directory):
    """A running server with its data below `directory`."""
    running = Server(directory / "data").start()
    try:
        yield running
    finally:
        running.stop()


def memory(pid, field="VmRSS"):
    """A field of the process's status in KiB, or 0 once it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def processor_seconds(pid):
    """What the process's threads have used of the processors so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"


def mib(kib):
    return f"{kib / 1024:.1f} MiB"


def median(values):
    return statistics.median(values)


def spread(seconds):
    """Median with the least and the most."""
    return f"{milliseconds(median(seconds))} ({min(seconds) * 1000:.1f} to {max(seconds) * 1000:.1f})"


def times(ratio):
    return f"{ratio:.2f} x" if ratio < 10 else f"{ratio:.0f} x"


def verdict(met):
    return "met" if met else "MISSED"


def table(title, rows, notes=()):
    """Prints `rows`, each (what, measured, beside what, ratio, aim); later cells may be left out."""
    head = ("", "measured", "beside", "ratio", "aim")
    lines = [head, *((*row, *[""] * (len(head) - len(row))) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}\n{machine()}")
    for number, line in enumerate(lines):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    for note in notes:
        print(f"  * {note}")
    sys.stdout.flush()


def machine():
    """What it was measured on, in one line."""
    build = {RELEASE: "release build", DEBUG: "debug build"}.get(BARGE, str(BARGE))
    directory = pathlib.Path(os.environ.get("BENCH_DIR") or tempfile.gettempdir())
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        found = subprocess.run(["stat", "-f", "-c", "%T", directory], check=True, capture_output=True, text=True)
        directory = f"{found.stdout.strip()} at {directory}"
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{build}; {processor()}, {os.cpu_count()} processors, {gib:.0f} GiB, Linux {platform.release()}, data on "
        f"{directory}; load average {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d')}"
    )


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
