#!/usr/bin/env python3
"""Runs the test programs that `cargo test --no-run --message-format=json` names on its standard input, two at a time.

Arguments go to each of them. Most of those of package `outband-tests` run whole programs and wait, for BMCs that are slow or for a clock; most others compute: one
of each runs at a time. What a program says is told whole when it ends. Fails where one of them did, after all have run.
"""

import collections
import json
import os
import subprocess
import sys
import threading
import time

WAITING = "outband-tests"


def programs(messages):
    """Each program, the directory of its package, and whether it is one of those that mostly wait."""
    for line in messages:
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message["profile"]["test"] and message.get("executable"):
            directory = os.path.dirname(message["manifest_path"])
            yield message["executable"], directory, f"#{WAITING}@" in message["package_id"]


def main():
    found = sorted(programs(sys.stdin), key=lambda program: program[2])
    if not found:
        sys.exit("tests/in_pairs.py: cargo has named no test program")
    left, passed, failed, telling = collections.deque(found), [], [], threading.Lock()

    def run(take):
        while True:
            try:
                program, directory, _ = take()
            except IndexError:
                return
            begun = time.monotonic()
            env = dict(os.environ, CARGO_MANIFEST_DIR=directory)
            done = subprocess.run([program, *sys.argv[1:]], cwd=directory, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            with telling:
                print(f"\n     Ran {os.path.relpath(program)} in {time.monotonic() - begun:.1f} s", flush=True)
                sys.stdout.buffer.write(done.stdout)
                sys.stdout.flush()
                if done.returncode == 0:
                    passed.append(program)
                else:
                    failed.append(f"{os.path.relpath(program)}: exit code {done.returncode}")

    both = [threading.Thread(target=run, args=[take]) for take in (left.popleft, left.pop)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    if failed:
        sys.exit("\nerror: of these test programs not every test passed:\n    " + "\n    ".join(failed))
    if len(passed) != len(found):
        sys.exit(f"\nerror: only {len(passed)} of {len(found)} test programs could be run (why is said above)")
    print(f"\ntests/run: {len(found)} test programs, all passed")


main()
