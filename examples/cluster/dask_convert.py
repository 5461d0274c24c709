#!/usr/bin/env python3
"""Converts the scenes of a manifest on a Dask cluster, one process for each.

    wysiwyh plan 'archive/**/*.tif' -o archive.jsonl --sensor sentinel2-l2a
    dask_convert.py tcp://scheduler:8786 archive.jsonl sounds
    wysiwyh collect sounds --manifest archive.jsonl -o catalogue.parquet

Workers need the program, the scenes and both folders under the same names.
A worker that dies costs nothing but its scene, which runs again elsewhere; a
scene that fails is recorded in the folder and counted. The same call made
again converts what is missing. Exit status: 0 ok, 1 all failed, 3 some failed.
"""

import argparse
import subprocess
import sys

from distributed import Client, as_completed


def convert(program: str, manifest: str, folder: str, index: int) -> tuple[int, str]:
    """Exit status and last line of errors of scene `index`."""
    call = [program, "convert", "--plain", "--manifest", manifest, "--index", str(index)]
    done = subprocess.run(
        [*call, "-o", folder], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        # Killed, as by a machine that ran out of memory: worth another try.
        raise RuntimeError(f"scene {index}: signal {-done.returncode}")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return done.returncode, errors[-1] if errors else ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scheduler", help="address, such as tcp://scheduler:8786")
    parser.add_argument("manifest", help="what `wysiwyh plan` wrote")
    parser.add_argument("folder", help="folder for the sounds")
    parser.add_argument("--program", default="wysiwyh")
    parser.add_argument("--retries", type=int, default=3, help="of a scene that was killed")
    arguments = parser.parse_args()
    with open(arguments.manifest, encoding="utf-8") as manifest:
        count = sum(1 for _ in manifest)
    words = arguments.program, arguments.manifest, arguments.folder
    done = failed = 0
    with Client(arguments.scheduler) as client:
        tasks = {
            client.submit(convert, *words, index, retries=arguments.retries, pure=False): index
            for index in range(count)
        }
        for task in as_completed(tasks, raise_errors=False):
            if task.status == "finished":
                status, error = task.result()
            else:
                status, error = 1, f"error: {task.exception()}"
            done += status == 0
            failed += status != 0
            if error:
                print(f"scene {tasks[task]}: {error}", file=sys.stderr)
    print(f"{done} of {count} scenes done, {failed} failed.")
    return 0 if failed == 0 else 3 if done else 1


if __name__ == "__main__":
    sys.exit(main())
