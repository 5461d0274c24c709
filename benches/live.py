"""How late `wysiwyh live` is: from an event in the scene to the sound that it changes.

    python benches/live.py WYSIWYH [COLUMNSxROWS [SECONDS [each|newest]]]

Raw pictures come through a pipe at 30 a second, and a session is recorded. The scene flashes at random
moments; a private PulseAudio server plays to a sink that nobody hears, and its monitor tells when the
sound changed. What the program itself reports stands beside. Needs pulseaudio, pactl, parec and numpy.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

RATE, CYCLE, FPS = 48000, 3840, 30


class Sink:
    """A sound server of our own, and what its sink plays."""

    def __init__(self, folder):
        socket = f"{folder}/socket"
        with open(f"{folder}/.asoundrc", "w") as file:
            file.write("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self.env = dict(os.environ, HOME=folder, XDG_RUNTIME_DIR=folder, PULSE_SERVER=f"unix:{socket}")
        self.env.pop("ALSA_CONFIG_PATH", None)
        quiet = dict(env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=1",
             "--use-pid-file=no", "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1",
             "-L", "module-null-sink sink_name=test rate=48000 format=float32le"], **quiet)
        while subprocess.call(["pactl", "info"], **quiet):
            time.sleep(0.05)
        self.recorder = subprocess.Popen(
            ["parec", "-d", "test.monitor", "--raw", "--format=float32le", "--rate=48000",
             "--channels=1", "--latency-msec=5"],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.chunks = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := os.read(self.recorder.stdout.fileno(), 65536):
            self.chunks.append((time.monotonic(), data))

    def end(self):
        """The samples, and the time of the first."""
        time.sleep(0.3)
        self.recorder.kill()
        self.server.kill()
        ends = np.cumsum([len(data) // 4 for _, data in self.chunks])
        first = min(at - end / RATE for (at, _), end in zip(self.chunks, ends))
        return np.concatenate([np.frombuffer(data, "<f4") for _, data in self.chunks]), first


def play(program, sink, folder, columns, rows, seconds, send):
    """Plays a scene that flashes; the times at which it did, and what the program said."""
    live = subprocess.Popen(
        [program, "live", "--raw", "gray16le", f"{columns}x{rows}@{FPS}", "--sensor", "cptv-lepton3",
         "--span", "0..4000", "--send", send, "--rrd", f"{folder}/session.rrd"],
        env=sink.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = []
    reader = threading.Thread(target=lambda: said.extend(live.stdout), daemon=True)
    reader.start()
    while not any(b"You will hear" in line for line in said):
        if live.poll() is not None:
            sys.exit(b"".join(said).decode())
        time.sleep(0.01)
    y, x = np.mgrid[:rows, :columns]
    scenes = [1000 + 800 * np.sin(x / columns * 9) + 500 * np.cos(y / rows * 7),
              2600 - 800 * np.sin(x / columns * 5) + 500 * np.cos(y / rows * 11)]
    scenes = [scene.astype("<u2").tobytes() for scene in scenes]
    random, start = np.random.default_rng(1), time.monotonic()
    events = start + 2.5 + np.cumsum(0.35 + random.uniform(0, 0.3, int(2 * seconds)))
    events = events[events < start + seconds - 1]
    for picture in range(int(seconds * FPS)):
        time.sleep(max(0, start + picture / FPS - time.monotonic()))
        # As the scene is now.
        live.stdin.write(scenes[np.sum(events <= time.monotonic()) % 2])
        live.stdin.flush()
    live.stdin.close()
    live.wait()
    reader.join()
    return events, b"".join(said).decode().strip().splitlines()[-1]


def main():
    program = sys.argv[1]
    size, seconds, send = [*sys.argv[2:5], *["160x120", "30", "each"][len(sys.argv) - 2 :]]
    columns, rows = map(int, size.split("x"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sink = Sink(folder)
        events, told = play(program, sink, folder, columns, rows, float(seconds), send)
        sound, first = sink.end()
    # A still picture repeats after a cycle, and a change does not.
    change = np.abs(sound[CYCLE:] - sound[:-CYCLE])
    loud = np.sqrt(np.mean(sound[len(sound) // 2 :][:RATE] ** 2))
    late = []
    for event in events:
        at = int((event - first) * RATE)
        found = np.flatnonzero(change[at - CYCLE : at - CYCLE + RATE // 2] > 0.05 * loud)
        if len(found):
            late.append(1000 * ((at + found[0]) / RATE + first - event))
    middle, most = np.percentile(late, [50, 99])
    print(f"{size} at {FPS} a second, {len(late)} of {len(events)} flashes heard, {os.cpu_count()} cores")
    print(f"from an event to its sound: median {middle:.0f} ms, 99th percentile {most:.0f} ms")
    print(told)


if __name__ == "__main__":
    main()
