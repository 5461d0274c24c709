#!/usr/bin/env bash
# Makes a machine ready: `setup.sh demo` to build and run, `setup.sh test` for
# what the tests use on top, `setup.sh deb` for what makes a Debian package, and
# `setup.sh screenshots` for pictures of the tests' viewer. What is already there
# is left alone, so a second run changes nothing and needs no network.
set -euo pipefail
cd "$(dirname "$0")"
export PATH="${HOME:?}/.cargo/bin:$PATH"

purpose=${1:-demo}

say() { printf 'setup: %s\n' "$*" >&2; }
stop() {
    printf 'error: setup: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}
has() { command -v "$1" >/dev/null; }

# The version that Cargo.toml asks of the package or setting $1.
wanted() { sed -nE "s/^$1 = (\{ version = )?\"=?([0-9.]+)\".*/\2/p" Cargo.toml; }
# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# --- system packages --------------------------------------------------------

debian() {
    local needed=(ca-certificates curl gcc libc6-dev make pkg-config libgdal-dev
        libasound2-dev libasound2-plugins libvulkan1 mesa-vulkan-drivers ffmpeg)
    if [ "$purpose" = test ]; then
        needed+=(gdal-bin sox xauth xvfb python3 python3-venv libaravis-dev
            libusb-1.0-0-dev aravis-tools help2man)
        # The tests play into a sound server of their own. A desktop has one
        # already, and PipeWire's does not tolerate another.
        has pipewire-pulse || needed+=(pulseaudio pulseaudio-utils)
    fi
    [ "$purpose" != deb ] || needed+=(dpkg-dev help2man)
    [ "$purpose" != screenshots ] || needed+=(chromium pngquant)
    local package missing=()
    for package in "${needed[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || stop "these packages are missing, and there is no sudo: ${missing[*]}" \
            "as administrator, run: apt-get install ${missing[*]}"
        root=(sudo)
        [ -t 0 ] || root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    "${apt[@]}" update || say "the package lists could not be refreshed; trying with the old ones"
    # Nothing that somebody uses may be removed to make room.
    "${apt[@]}" install --yes --no-install-recommends --no-remove "${missing[@]}" >/dev/null ||
        stop "apt could not install ${missing[*]}" "see apt's own message above"
}

elsewhere() {
    local ready=true
    has pkg-config && pkg-config --exists gdal || ready=false
    [ "$(uname)" = Darwin ] || pkg-config --exists alsa 2>/dev/null || ready=false
    has cc && has make && has curl || ready=false
    $ready || stop "this is neither Debian nor Ubuntu, and packages are missing" \
        "install them yourself (never tried by us):
  Fedora: dnf install gcc make curl pkgconf gdal-devel alsa-lib-devel vulkan-loader mesa-vulkan-drivers ffmpeg-free
  Arch:   pacman -S gcc make curl pkgconf gdal alsa-lib vulkan-icd-loader vulkan-swrast ffmpeg
  macOS:  brew install pkgconf gdal ffmpeg"
    [ "$purpose" != deb ] ||
        stop "this is neither Debian nor Ubuntu" "make the package on the system that it is for"
    [ "$purpose" != test ] ||
        say "tests that need sox, Xvfb, PulseAudio, gdalinfo or Aravis say so where those are missing"
}

gdal() {
    local version
    version=$(pkg-config --modversion gdal)
    if ! at_least "$version" 3.4 || at_least "$version" 3.13; then
        stop "GDAL is $version, and 3.4 to 3.12 are supported" \
            "Debian 12, Ubuntu 22.04 and later have a fitting one; without rasters: cargo build --no-default-features --features sound,uvc,rerun,gpu"
    fi
}

# --- Rust -------------------------------------------------------------------

rust() {
    local minimum
    minimum=$(wanted rust-version)
    if has cargo && at_least "$(rustc --version | cut -d ' ' -f 2)" "$minimum"; then
        return 0
    elif has rustup; then
        say "updating Rust to at least $minimum"
        rustup update stable || true
        at_least "$(rustc --version | cut -d ' ' -f 2)" "$minimum" ||
            stop "Rust $minimum is needed, and the toolchain in use is older" "rustup default stable"
    else
        say "installing Rust $minimum through rustup, for this user only"
        curl --proto '=https' --tlsv1.2 --retry 3 -sSf https://static.rust-lang.org/rustup/rustup-init.sh |
            sh -s -- -y --quiet --profile minimal --default-toolchain "$minimum" \
                --component clippy --component rustfmt ||
            stop "Rust could not be installed" "install Rust $minimum or later from https://rustup.rs"
    fi
}

rust_for_tests() {
    { cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1 && return 0
    rustup component add clippy rustfmt ||
        stop "clippy and rustfmt are missing" "install them beside the Rust toolchain"
}

packager() {
    has cargo-deb && return 0
    say "installing cargo-deb, for this user only"
    # Beside what is being built here, it would be kept for nothing.
    env -u CARGO_TARGET_DIR cargo install --locked --quiet cargo-deb@3.8.0 ||
        stop "cargo-deb could not be installed" "see cargo's own message above"
}

# --- independent programs that the tests compare with -----------------------

oracles() {
    local folder="$HOME/.cache/wysiwyh/oracles"
    # The viewer reads sessions of its own version only.
    local wheels=(numpy scipy rasterio duckdb pyarrow shapely "rerun-sdk==$(wanted rerun)")
    [ "$(cat "$folder/complete" 2>/dev/null)" != "${wheels[*]}" ] || return 0
    say "installing ${wheels[*]} for the tests into $folder"
    rm -rf "$folder"
    if python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --retries 2 "${wheels[@]}"; then
        echo "${wheels[*]}" >"$folder/complete"
    else
        rm -rf "$folder"
        say "that failed: tests that need them will say that they were skipped"
    fi
}

if has dpkg-query && has apt-get; then debian; else elsewhere; fi
gdal
rust
[ "$purpose" != deb ] || packager
if [ "$purpose" = test ]; then
    rust_for_tests
    oracles
fi
