"""HTTP/1.1 against HTTP/2 between a gateway's thread and a worker."""

import subprocess

COMMAND = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "sampan-transport", "--example", "hop"]


def measure() -> None:
    lines = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout.splitlines()
    figures = {(words[0], words[1], words[2]): [int(word) for word in words[3:]] for words in map(str.split, lines)}
    print("| requests at a time | bytes | HTTP/1.1: per second, p50, p99 | HTTP/2: per second, p50, p99 | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for (protocol, at_a_time, size), first in figures.items():
        if protocol != "http1":
            continue
        second = figures["http2", at_a_time, size]
        shown = [f"{rate}, {p50} us, {p99} us" for rate, p50, p99 in (first, second)]
        print(f"| {at_a_time} | {size} | {shown[0]} | {shown[1]} | {first[0] / second[0]:.2f} |")
