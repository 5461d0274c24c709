#!/usr/bin/env bash
# Lays out what goes into the Debian package, for `make deb`:
#   packaging/deb.sh PROGRAM FOLDER [OPTIONS OF CARGO THAT CHOSE FEATURES]
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/.."
folder=$2
shift 2

# Everything that is linked into the program, with its licence and the texts of
# it that come with the sources; equal texts once.
notices() {
    echo "This program holds the following libraries."
    echo "Numbers are those of the texts below; where none is named, the sources bring none."
    echo
    local library version licence text hash numbers
    local -A number=()
    local texts=()
    while IFS=' |' read -r library version licence; do
        numbers=()
        while read -r text; do
            hash=$(sha256sum <"$text")
            if [ -z "${number[$hash]:-}" ]; then
                texts+=("$text")
                number[$hash]=${#texts[@]}
            fi
            numbers+=("${number[$hash]}")
        done < <(find "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$library-${version#v}" -maxdepth 1 \
            -type f -iregex '.*/\(licen[cs]e\|copying\|copyright\|notice\|unlicense\)[^/]*' | sort)
        echo "$library ${version#v}, $licence${numbers:+, texts ${numbers[*]}}"
    done < <(cargo tree --locked --edges normal,no-proc-macro --prefix none --format '{p}|{l}' "$@" |
        sed -E 's/ \(\*\)$//; s/^([^|]*) \([^|]*\)\|/\1|/; /^wysiwyh /d' | sort -u)
    local at
    for at in "${!texts[@]}"; do
        printf '\n----- text %d -----\n\n' $((at + 1))
        cat "${texts[at]}"
    done
}

# What --help says at its end, such as `Reads:    a raster`, as sections.
sections() {
    awk '/^Options:/ { options = 1 }
        options && /^[A-Z][a-z ]*: / {
            example = /^Example/
            print "\n" substr($0, 1, index($0, ":"))
            sub(/^[^:]*: +/, " ")
            end = section = 1
        }
        end && (example || section && !/^ /) { print "" }
        end && !(section = sub(/^ +/, "")) { example = 0 }
        { print }'
}

# The manual page of `wysiwyh VERB`, or of `wysiwyh` itself, made of --help.
manual() {
    local verb=$1 page=wysiwyh${1:+-$1} about
    about=$("$program" $verb --help | sed '/^$/,$d' | tr '\n' ' ' | sed -E 's/\. .*|[.:]? *$//')
    # help2man takes the name of the page from that of the program.
    { declare -f sections; echo "'$program' $verb --help | sections"; } >"$folder/$page"
    help2man --no-info --section 1 --name "${about,}" --manual 'User Commands' \
        --version-string "$("$program" -V | sed "s/wysiwyh/$page/")" \
        "bash $folder/$page" >"$folder/man/$page.1"
    rm "$folder/$page"
}

rm -rf "$folder"
mkdir -p "$folder/completions" "$folder/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$folder/completions/$shell"
done
manual ''
for verb in $("$program" --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p'); do
    [ "$verb" = help ] || manual "$verb"
done
notices "$@" >"$folder/notices"
gzip --best --no-name "$folder"/man/* "$folder/notices"
cp "$program" "$folder/wysiwyh"
