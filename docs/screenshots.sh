#!/usr/bin/env bash
# Makes the pictures and the sound in this folder, of simulated pictures, for
# `make screenshots`:
#   docs/screenshots.sh PROGRAM ENVIRONMENT
# ENVIRONMENT is one of Python's, with the viewer. It needs chromium, ffmpeg,
# pngquant and a Vulkan driver, which Mesa has in software. Look at what comes of
# it, and listen to it.
set -euo pipefail
docs=$(realpath "$(dirname "$0")")
PATH=$(dirname "$(realpath "$1")"):$PATH
environment=$(realpath "$2")/bin
work=$(mktemp -d)
viewer=
trap '[ -z "$viewer" ] || kill -- -$viewer; rm -rf "$work"' EXIT
# The viewer wants one of its own.
export XDG_RUNTIME_DIR=$work
cd "$work"

# Keeps what ffmpeg's filter $2 leaves of a picture, in 192 colours.
keep() {
    ffmpeg -v error -y -i "$1" -vf "$2" whole.png
    pngquant --force --strip --speed 1 --output "$docs/$1" 192 whole.png
}

# The sound of the demo, whatever the ears of whoever calls this; like any copy it
# has lost what the file said about itself.
wysiwyh convert simulated --preset listen --frames 180 -o sounds
ffmpeg -v error -y -i sounds/simulated.wav -map_metadata -1 -fflags +bitexact -b:a 96k \
    "$docs/demo.mp3"

wysiwyh demo --no-speaker -o demo
# A group of its own, as it is a program that starts another.
setsid "$environment/rerun" --headless --renderer vulkan --bind 127.0.0.1 --port 9877 \
    --window-size 1600x1000 demo/session.rrd 2>viewer.log &
viewer=$!
# It has loaded the session, and shows its end, a little after it listens.
until grep -q 'Headless viewer running' viewer.log; do kill -0 $viewer && sleep 1; done
sleep 10
"$environment/python" - <<'PYTHON'
from rerun.experimental import ViewerClient
ViewerClient("rerun+http://127.0.0.1:9877/proxy").save_screenshot("session.png")
PYTHON
# Without the viewer's own bar.
keep session.png crop=iw:ih-28:0:28

# Clips 1 to 30 are those of which the model was trained on most.
wysiwyh evaluate simulated-lwir simulated:{1..30} simulated:{201..204} --report report.html
chromium --headless --no-sandbox --hide-scrollbars --disable-gpu --window-size=1100,2880 \
    --screenshot=report.png report.html 2>chromium.log || { cat chromium.log >&2; exit 1; }
keep report.png null
