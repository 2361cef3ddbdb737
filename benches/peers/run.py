"""Times this crate beside other libraries; started by run.sh, which see.

Both sides read the same arrays, run in turn (ours, peer, ours, peer, ..), and are compared pair by pair, so that what slows
the machine slows both. A side's time is that of as many calls as take `LEAST_S` together.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import zlib

import numpy as np

import signals
import tasks

LEAST_S = 0.05


class Program:
    """The long-lived process of ours.rs, or of a peer's."""

    def __init__(self, executable, data):
        self.name, self.data = executable, data
        self.process = subprocess.Popen([executable, "--serve", str(data)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name} ended at: {' '.join(words)}")
        answer = json.loads(answer)
        if "error" in answer:
            sys.exit(f"{self.name}: {answer['error']}")
        return answer

    def names(self):
        return self.ask("names")["names"]

    def input_of(self, name):
        return self.ask("input", name)["input"]

    def load(self, name):
        self.ask("load", name)
        return lambda calls: self.ask("run", name, str(calls))["seconds"]

    def values(self, name):
        self.ask("values", name)
        return np.fromfile(self.data / f"{name}.ours.f64")


def python_side(call):
    def run(calls):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - start
    return run


def calls_for(run):
    """Calls that take about `LEAST_S`."""
    calls, seconds = 1, run(1)
    while seconds < 0.2 * LEAST_S:
        calls *= 4
        seconds = run(calls)
    return max(1, round(calls * LEAST_S / seconds))


def difference(ours, theirs):
    """The largest difference, relative to the size of what is compared: the row's largest number."""
    ours, theirs = np.atleast_2d(ours), np.atleast_2d(theirs)
    if ours.shape != theirs.shape:
        sys.exit(f"ours has {ours.shape} numbers, theirs {theirs.shape}")
    nan = np.isnan(ours)
    if (nan != np.isnan(theirs)).any():
        return np.inf
    size = np.nanmax(np.abs(theirs), axis=-1, keepdims=True)
    return float(np.nanmax(np.abs(ours - theirs) / np.where(size > 0, size, 1)))


def compare(programs, task, peer, pairs):
    """One line of the table."""
    ours, other = programs["ours"], programs[peer.program]
    run_ours = ours.load(task.ours)
    if isinstance(peer.call, str):
        run_peer = other.load(peer.call)
        theirs = lambda: other.values(peer.call)
    else:
        call = peer.call(signals.load(ours.data, ours.input_of(task.ours)))
        run_peer, theirs = python_side(call), call
    agreement = None
    if peer.same is not None:
        numbers = peer.numbers or (lambda result: peer.comparable(np.asarray(result, dtype=float)))
        agreement = difference(peer.comparable(ours.values(task.ours)), numbers(theirs()))
    calls = calls_for(run_ours), calls_for(run_peer)
    times = [(run_ours(calls[0]) / calls[0], run_peer(calls[1]) / calls[1] / peer.share) for _ in range(pairs)]
    ratios = sorted(b / a for a, b in times)
    if peer.within is not None:  # how much longer than the peer
        ratios = sorted(1 / r for r in ratios)
    line = {
        "task": task.name, "what": task.what, "peer": peer.name, "pairs": pairs,
        "ours_ms": 1e3 * statistics.median(a for a, _ in times), "peer_ms": 1e3 * statistics.median(b for _, b in times),
        "ours_least_ms": 1e3 * min(a for a, _ in times), "peer_least_ms": 1e3 * min(b for _, b in times),
        "ratio": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1],
        "ratio_is": "ours / peer" if peer.within is not None else "peer / ours",
        "difference": agreement, "tolerance": peer.same,
        "agrees": None if agreement is None else bool(agreement <= peer.same), "note": peer.note,
    }
    line["asked"], line["met"] = asked(task, peer, line)
    return line


def asked(task, peer, line):
    if peer.within is not None:
        return f"within {peer.within} of it", line["ratio"] <= peer.within
    if peer.times is not None:
        aim = "" if peer.aim is None else f", aim {peer.aim:g} x" + ("" if line["ratio"] >= peer.aim else " (not reached)")
        return f">= {peer.times:g} x{aim}", line["ratio"] >= peer.times
    if task.at_most_ms is not None:
        return f"ours within {task.at_most_ms:g} ms", line["ours_ms"] <= task.at_most_ms
    return None, None


def markdown(line):
    if line["agrees"] is None:
        agreement = "not compared"
    else:
        agreement = f"{line['difference']:.0e}" + ("" if line["agrees"] else f" **MISMATCH**, {line['tolerance']:.0e} allowed")
    goal = "" if line["asked"] is None else line["asked"] + (": met" if line["met"] else ": **missed**")
    unit = " of it" if line["ratio_is"] == "ours / peer" else " x"
    spread = f"{line['ratio']:.3g}{unit} ({line['ratio_min']:.3g}..{line['ratio_max']:.3g})"
    note = f" ({line['note']})" if line["note"] else ""
    return (f"| {line['task']}: {line['what']} | {line['ours_ms']:.4g} | {line['peer']}{note}: {line['peer_ms']:.4g} | {spread} "
            f"| {agreement} | {goal} |")


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--ours", required=True)
    args.add_argument("--rcf3", required=True, help="the program of rcf3's tasks")
    args.add_argument("--data", required=True, type=pathlib.Path)
    args.add_argument("--only", action="append", default=[], metavar="NAME")
    args.add_argument("--quick", action="store_true")
    args.add_argument("--json", action="store_true")
    args.add_argument("--strict", action="store_true")
    args = args.parse_args()
    pairs = 5 if args.quick else 11

    # Arrays of another signals.py are not these.
    data = args.data / f"{zlib.crc32(pathlib.Path(signals.__file__).read_bytes()):08x}"
    data.mkdir(parents=True, exist_ok=True)
    ours = Program(args.ours, data)
    programs = {"ours": ours, "rcf3": Program(args.rcf3, data)}
    there = set(ours.names())
    wanted = [t for t in tasks.TASKS if not args.only or any(f"{t.name}_".startswith(f"{o}_") for o in args.only)]
    if not wanted:
        sys.exit(f"no task of {args.only}; there are {', '.join(t.name for t in tasks.TASKS)}")
    load, cores = os.getloadavg()[0], os.cpu_count()
    if load > 0.5 * cores:
        print(f"load {load:.1f} on {cores} cores: times are not those of an idle machine", file=sys.stderr)
    if not args.json:
        print("| task | ours, ms | peer, ms | ratio, median (min..max) | largest relative difference | asked |")
        print("|---|---|---|---|---|---|")
    mismatched, missed, not_there = [], [], []
    for task in wanted:
        if task.ours not in there:
            not_there.append(task.name)
            continue
        signals.write(data, ours.input_of(task.ours))
        for peer in task.peers:
            line = compare(programs, task, peer, pairs if not args.quick or not peer.slow else 3)
            print(json.dumps(line) if args.json else markdown(line), flush=True)
            mismatched += [f"{task.name} and {peer.name}"] if line["agrees"] is False else []
            missed += [f"{task.name} and {peer.name}"] if line["met"] is False else []
            for program in programs.values():
                program.ask("forget")
    if not args.json:
        print("\nOurs writes into buffers that its caller keeps. A peer that makes its result anew has no other way, and pays for it in "
              "its time.")
    for text, names in [("not in this crate yet", not_there), ("what is asked is missed", missed), ("numbers differ", mismatched)]:
        if names:
            print(f"{text}: {', '.join(names)}", file=sys.stderr)
    sys.exit(bool(mismatched or (args.strict and missed)))


if __name__ == "__main__":
    main()
