#!/usr/bin/env python3
"""How long an acknowledgement of remote_write takes at half the peak rate, beside what the disk itself takes.

    bench/compare/acknowledge.py                   half a minute each, with wal-sync interval and always
    bench/compare/acknowledge.py --seconds=5 --only=always

First the disk, where the data will be: one write of 16 KiB and one fdatasync after another, 1,000 times, by a program that
does nothing else. Then, for each of --storage.wal-sync, what a server with --shards=1 takes flat out, and on a fresh one how
long answers take at half that rate: whole targets with 14 labels over four connections, all series known from the second
round on. Answers are timed from where the request is on its way; from its turn by the schedule is told, too. What must hold: the 99th percentile is at most 10 ms, with `always` 10 ms and twice the disk's own 99th percentile.
Exit code: 0, 1 when one does not.
"""
import argparse
import os
import time

from systems import Ferula, run_loadgen, run_to_end, say, temp_folder, write_results

LIMIT_S, WRITES, WRITE_BYTES = 0.010, 1000, 16 * 1024


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def disk():
    """Seconds of each write with its flush, in a file that has its size before, as a segment of the log has."""
    path = os.path.join(temp_folder("ferula-compare-"), "disk")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    took = []
    try:
        os.posix_fallocate(fd, 0, WRITES * WRITE_BYTES)
        os.fsync(fd)
        for i in range(WRITES):
            data = os.urandom(WRITE_BYTES)
            begin = time.monotonic()
            os.pwrite(fd, data, i * WRITE_BYTES)
            os.fdatasync(fd)
            took.append(time.monotonic() - begin)
    finally:
        os.close(fd)
        os.unlink(path)
    return took


def send(sync, seconds, series, rate=0):
    server = Ferula(args=("--shards=1", f"--storage.wal-sync={sync}"))
    try:
        begin = int(time.time()) - 40 * 86400
        got = run_loadgen("remote-write", f"--series={series}", "--step=15s", f"--start={begin}", f"--duration={seconds}s",
                          "--no-read-back", "--labels=14", "--connections=4", f"--rate={rate:.0f}", f"{server.base}/api/v1/write")
        if got["rejected"] + got["failed"] + got["broken"]:
            raise SystemExit(got["last_error"])
        return got
    finally:
        server.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("interval", "always"), action="append", help="this one")
    parser.add_argument("--seconds", type=int, default=30, help="of each run (%(default)s)")
    parser.add_argument("--series", type=int, default=50_000, help="(%(default)s)")
    parser.add_argument("--json", default="acknowledge.json", help="where the raw results go (%(default)s)")
    wanted = parser.parse_args()
    took = disk()
    disk_p50, disk_p99 = percentile(took, 0.5), percentile(took, 0.99)
    print(f"{'disk':9} write and flush of 16 KiB: p50 {disk_p50 * 1000:.2f} ms, p99 {disk_p99 * 1000:.2f} ms", flush=True)
    results, good = {"disk_p50_s": disk_p50, "disk_p99_s": disk_p99}, True
    for sync in wanted.only or ("interval", "always"):
        peak = send(sync, max(wanted.seconds // 2, 2), wanted.series)["samples_per_second"]
        say(f"{sync}: {peak / 1e6:.2f} M samples/s flat out")
        got = send(sync, wanted.seconds, wanted.series, peak / 2)
        limit = LIMIT_S + (2 * disk_p99 if sync == "always" else 0)
        holds = got["ack_p99_seconds"] <= limit
        good &= holds
        print(f"{sync:9} {got['samples_per_second'] / 1e6:.2f} M samples/s, half of what it takes: p50 {got['ack_p50_seconds'] * 1000:.2f} ms, "
              f"p99 {got['ack_p99_seconds'] * 1000:.2f} ms, at most {limit * 1000:.1f} ms: {'holds' if holds else 'FAILS'}; from its turn by "
              f"the schedule p99 {got['schedule_p99_seconds'] * 1000:.2f} ms", flush=True)
        results[sync] = {"peak_samples_per_s": peak, "limit_s": limit, **got}
    write_results(wanted.json, seconds=wanted.seconds, series=wanted.series, results=results)
    return 0 if good else 1


if __name__ == "__main__":
    run_to_end(main)
