#!/usr/bin/env python3
"""Ferula beside Prometheus, scraping the same targets in the same run.

    bench/compare/scrape.py --seconds 30       the table of README.md
    bench/compare/scrape.py --recording=FILE   another recording, as tests/lib/capture.h describes it

Both scrape N targets, served by build/bench/replay from a recording of a node_exporter, for some time. Printed for each: CPU
seconds per million scraped samples (user and system, of the whole process), resident memory at the end, bytes on disk, and how
long a restart on that data takes until it is ready (after SIGKILL). The last lines are a table for the README.
"""
import argparse
import json
import os
import time

from systems import BUILD, TOP, Ferula, Process, Prometheus, free_port, run_to_end, say, temp_folder, write_file


def find_recording():
    near = (os.path.join(TOP, up, "shared/data/node_exporter-1s.capture.xz") for up in ("..", "../.."))
    return os.environ.get("FERULA_CAPTURE") or next((p for p in near if os.path.exists(p)), None)


def scraped(system):
    answer = json.loads(system.get("/api/v1/query", {"query": "sum(sum_over_time(scrape_samples_scraped[1h]))"}))
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def measure(system, start_s):
    cpu, resident, samples, disk = system.cpu_s(), system.rss(), scraped(system), system.disk()
    again_s = system.restart()
    system.end()
    return {"server": f"{system.name} {system.version()}", "samples": samples, "cpu_s_per_million": cpu / samples * 1e6,
            "resident_mib": resident / 2**20, "disk_mib": disk / 2**20, "start_s": start_s, "restart_after_sigkill_s": again_s}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=50)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--recording", default=find_recording())
    wanted = parser.parse_args()
    if not wanted.recording:
        parser.error("there is no recording: name one with --recording")
    port = free_port()
    replay = Process("replay", [os.path.join(BUILD, "bench", "replay"), str(port)], env={"FERULA_CAPTURE": wanted.recording})
    replay.wait_log(".")
    addresses = [f"127.0.0.{i + 1}:{port}" for i in range(wanted.targets)]
    config = write_file(os.path.join(temp_folder(), "config.yml"), json.dumps({
        "global": {"scrape_interval": wanted.interval},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": addresses}]}]}))
    running = []
    for system in (Prometheus, Ferula):
        if not system.is_there():
            say(f"{system.name} is not there: {system.program}")
            continue
        since = time.monotonic()
        running.append((system(config), time.monotonic() - since))
    time.sleep(wanted.seconds)
    rows = [measure(system, start_s) for system, start_s in running]
    for row in rows:
        print(json.dumps(row))
    print(f"\n{wanted.targets} targets, every {wanted.interval}, {wanted.seconds} s, load average {os.getloadavg()[0]:.0f}:\n")
    print("| server | samples | CPU s per million samples | resident MiB | first start s | restart after SIGKILL s |")
    print("|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['server']} | {r['samples']:.0f} | {r['cpu_s_per_million']:.2f} | {r['resident_mib']:.0f} | "
              f"{r['start_s']:.2f} | {r['restart_after_sigkill_s']:.2f} |")
    return 0


if __name__ == "__main__":
    run_to_end(main)
