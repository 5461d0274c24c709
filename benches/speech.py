"""How much of our sound an Opus encoder takes for speech.

    python benches/speech.py WYSIWYH SENSOR DATA... [-- OPTIONS OF wysiwyh convert]

`wysiwyh convert` makes sound of DATA, and ffmpeg's libopus codes it at 24
kbit/s, left to itself. The first byte of a packet says how it was coded (RFC
6716, 3.1): configurations 0 to 15 are SILK and hybrid, for speech, and 16 to
31 are CELT, for music. Prints the share of packets that are for speech, of
each sound, and of all. Packets of headers and of the first fifth of a second,
in which an encoder knows nothing yet, are not counted.
"""

import pathlib
import subprocess
import sys
import tempfile

from subsets import run

# Of 20 ms each.
FIRST = 10


def packets(data):
    """The packets of the Ogg stream `data` (RFC 3533)."""
    packet, at = b"", 0
    while at < len(data):
        sizes = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(sizes)
        for size in sizes:
            packet, at = packet + data[at : at + size], at + size
            if size < 255:
                yield packet
                packet = b""


def main():
    program, sensor, *data = sys.argv[1:]
    end = data.index("--") if "--" in data else len(data)
    data, options = data[:end], data[end + 1 :]
    speech = count = 0
    with tempfile.TemporaryDirectory() as folder:
        run(program, "convert", *data, "--sensor", sensor, "--no-scores", "-o", folder, *options)
        for sound in sorted(pathlib.Path(folder).glob("*.wav")):
            coded = sound.with_suffix(".opus")
            run("ffmpeg", "-v", "error", "-i", sound, "-c:a", "libopus", "-b:a", "24k", coded)
            found = [packet[0] >> 3 < 16 for packet in packets(coded.read_bytes())][2 + FIRST :]
            print(f"{sound.stem}: {100 * sum(found) / len(found):.0f} % of {len(found)} packets for speech")
            speech, count = speech + sum(found), count + len(found)
    print(f"all: {100 * speech / count:.0f} % of {count}")


if __name__ == "__main__":
    main()
