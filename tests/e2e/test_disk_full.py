"""A disk of 64 MiB runs full while samples come: what was acknowledged stays, what is refused is told, everything else is answered
meanwhile, and with room again it goes on without a restart."""
import os
import subprocess
import time

from harness import (Skip, check, check_equal, end_everything, ferula, main, remote_write, scenario, temp_folder, wait_for)

SIZE_MIB = 64
START_MS = int(time.time()) * 1000 - 3600 * 1000
SERIES = 100


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Disk:
    """An ext4 of its own on a loop device, or a tmpfs where that cannot be had."""

    def __init__(self):
        self.folder = temp_folder()
        self.image = os.path.join(temp_folder(), "disk")
        self.mount = os.path.join(self.folder, "mount")
        os.mkdir(self.mount)
        with open(self.image, "wb") as f:
            f.truncate(SIZE_MIB << 20)
        made = run("mkfs.ext4", "-q", "-F", self.image) if os.path.exists("/usr/sbin/mkfs.ext4") or os.path.exists("/sbin/mkfs.ext4") else None
        if made and made.returncode == 0 and run("mount", "-o", "loop", self.image, self.mount).returncode == 0:
            self.kind = "ext4"
        else:
            mounted = run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "none", self.mount)
            if mounted.returncode:
                raise Skip(f"neither ext4 on a loop device nor a tmpfs can be mounted here: {mounted.stdout.strip()}")
            self.kind = "tmpfs"
        print(f"{self.kind} of {SIZE_MIB} MiB")

    def fill(self):
        """A file that leaves some room."""
        room = os.statvfs(self.mount)
        with open(os.path.join(self.mount, "ballast"), "wb") as f:
            left = room.f_bavail * room.f_frsize - (256 << 10)
            while left > 0:
                left -= f.write(os.urandom(min(left, 1 << 20)))

    def make_room(self):
        os.remove(os.path.join(self.mount, "ballast"))

    def end(self):
        run("umount", "-l", self.mount)


def labels(i):
    return {"__name__": "m", "job": "j", "instance": f"h{i % 10}", "id": str(i)}


def write(server, step, filler=0):
    """A sample of each series, and one of a series with so long a label; whether it was acknowledged."""
    at = START_MS + step * 1000
    series = [(labels(i), [(at, hash((step, i)) / 7.0)]) for i in range(SERIES)]
    if filler:
        series.append(({"__name__": "filler", "job": "f", "text": os.urandom(filler // 2).hex()}, [(at, 1.0)]))
    answer = remote_write(server, series)
    check(answer.status in (204, 503), answer.status, answer.text())
    if answer.status == 503:
        check("no space left on device" in answer.text(), answer.text())
        check(int(answer.headers.get("Retry-After", "0")) > 0, answer.headers)
    return answer.status == 204


def kept(server, steps):
    found = server.samples("m", at=START_MS / 1000 + steps + 1, window=f"{steps + 2}s")
    check_equal(len(found), SERIES)
    return {frozenset(round(float(t) * 1000) for t, _ in points) for points in found.values()}


@scenario
def a_full_disk():
    disk = Disk()
    try:
        server = ferula(data=os.path.join(disk.mount, "data"),
                        args=["--web.enable-remote-write-receiver", "--shards=1", "--storage.spill-interval=1s"])
        acknowledged, step = set(), 0

        def one(filler=0):
            nonlocal step
            step += 1
            good = write(server, step, filler)
            if good:
                acknowledged.add(START_MS + step * 1000)
            return good
        for _ in range(20):
            check(one(), "there is room")
        disk.fill()
        wait_for("the disk is full", lambda: not one(400000), interval=0)
        for _ in range(5):
            one()
        # Everything else is answered.
        for times in kept(server, step):
            check(acknowledged <= times, sorted(acknowledged - times)[:5])
        check_equal(server.get("/-/healthy").status, 200)
        check_equal(server.get("/metrics").status, 200)
        disk.make_room()
        wait_for("it goes on", one, interval=0.1)
        for _ in range(20):
            check(one(), "there is room again")
        full = kept(server, step)
        for times in full:
            check(acknowledged <= times, sorted(acknowledged - times)[:5])
        check(server.running(), server.log()[-2000:])
        server.kill()  # SIGKILL: nothing of what was acknowledged goes
        server.restart()
        for times in kept(server, step):
            check(acknowledged <= times, sorted(acknowledged - times)[:5])
        server.stop()
        print(f"{step} writes, {len(acknowledged)} acknowledged")
    finally:
        end_everything()
        disk.end()


main()
