#!/usr/bin/env python3
"""Attention with log-sum-exp: annulus against PyTorch's flash attention for CPUs and, where they are installed, OpenVINO, ggml and zentorch.

    benchmarks/compare_attention.py [--set main|lengths|options|parts|all] [--dtype f32|bf16] [--threads N] [--quick] [--json FILE]

Every peer is a process of its own with its own threads, reads the same files, and is asked in turn: a round asks each once, a figure is the median
over rounds, a ratio the median of the rounds' ratios (above 1: annulus is faster). Errors are of sampled rows against double precision on the same
(rounded) inputs, relative to the root mean square of the right values. Rates count useful operations, 4 * head_dim for each pair of query and key
that sees each other by position. The share of the peak is of `annulus bench peak`, run first if the program is built.

Peers beside PyTorch: OpenVINO when the environment has it; ggml when ANNULUS_GGML names the folder of an installed copy (include/, lib/); zentorch
when ANNULUS_ZENTORCH names an interpreter that has it and its PyTorch. The set `parts` measures our own: what the log-sum-exp costs, keys folded in
four parts against the keys whole, the merge against the memory's speed. benchmarks/report_attention.py makes table and plot from the JSON.
"""
import argparse
import glob
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import peers

# batch, heads, seq_q, seq_kv, head_dim
MAIN = [(1, 24, 4096, 4096, 128), (1, 24, 1024, 1024, 128), (1, 12, 4096, 4096, 64), (2, 16, 2048, 2048, 64), (1, 24, 4173, 4173, 128),
        (1, 24, 4096, 512, 128), (1, 24, 256, 256, 128), (1, 40, 8192, 8192, 128)]
QUICK = [(1, 24, 1024, 1024, 128), (2, 16, 2048, 2048, 64), (1, 24, 256, 256, 128)]
LENGTHS = [(1, 24, n, n, 128) for n in (1, 7, 33, 77, 100, 257)] + [(1, 24, 1, 4096, 128)]
OPTIONS = [("causal", (1, 24, 2048, 2048, 128)), ("window 256", (1, 24, 2048, 2048, 128)), ("gqa 8:1", (1, 24, 2048, 2048, 128)),
           ("bool mask", (1, 24, 2048, 2048, 128)), ("kv_lengths", (2, 24, 1024, 1024, 128))]


def cases(wanted, quick):
    """(options, shape) of a set."""
    sets = {"parts": [], "main": [("", s) for s in (QUICK if quick else MAIN)], "lengths": [("", s) for s in LENGTHS], "options": OPTIONS}
    return [case for name in sets if wanted in (name, "all") for case in sets[name]]


class Refused(Exception):
    """A peer that cannot do a case."""


class Peer:
    """A process that answers lines (benchmarks/attention_worker.cc has the protocol)."""

    def __init__(self, name, command, environment=None):
        self.name, self.what = name, ""
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        while True:
            answer = self.process.stdout.readline()
            if not answer:
                sys.exit(f"{self.name} ended with status {self.process.wait()}")
            words = answer.split()
            if words and words[0] == "error":
                raise Refused(" ".join(words[1:]))
            if words and (words[0] == "ok" or line.startswith("time")):
                return words

    def load(self, line):
        self.what = " ".join(self.ask(line)[1:])

    def time(self, samples, runs, mode=""):
        return [float(word) for word in self.ask(f"time {samples} {runs} {mode}")]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def build(target, *definitions):
    """A program below build/benchmark, made of the attention library alone."""
    folder = peers.ROOT / "build" / "benchmark"
    peers.run(["cmake", "-S", str(peers.ROOT), "-B", str(folder), "-DANNULUS_ATTENTION_ONLY=ON", "-DANNULUS_TESTS=OFF", "-DANNULUS_BENCHMARKS=ON", *definitions])
    peers.run(["cmake", "--build", str(folder), "--target", target])
    return folder


def start_peers(wanted):
    """Ours first."""
    import importlib.util

    here = pathlib.Path(__file__).resolve().parent
    started = [Peer("annulus", [str(build("annulus_attention_worker") / "benchmarks" / "attention_worker")])]
    script = str(here / "attention_peers.py")
    available = {"torch": lambda: [sys.executable, script, "torch"]}
    if importlib.util.find_spec("openvino"):
        available["openvino"] = lambda: [sys.executable, script, "openvino"]
    if "ANNULUS_ZENTORCH" in os.environ:
        available["zentorch"] = lambda: [os.environ["ANNULUS_ZENTORCH"], script, "zentorch"]
    if "ANNULUS_GGML" in os.environ:
        available["ggml"] = lambda: [build_ggml(pathlib.Path(os.environ["ANNULUS_GGML"]), here / "attention_ggml.cc")]
    for name in wanted or available:
        if name not in available:
            sys.exit(f"peers: wanted {', '.join(available)}, found {name}")
        started.append(Peer(name, available[name]()))
    return started


def build_ggml(folder, source):
    """The worker over an installed ggml; static or shared."""
    program = peers.ROOT / "build" / "benchmark" / "attention_ggml"
    libraries = next(str(folder / lib) for lib in ("lib", "lib64") if (folder / lib).exists())
    static = glob.glob(libraries + "/libggml*.a")
    order = ["libggml.a", "libggml-cpu.a", "libggml-base.a"]
    names = [f"{libraries}/{name}" for name in order] if static else ["-L" + libraries, "-Wl,-rpath," + libraries, "-lggml", "-lggml-cpu", "-lggml-base"]
    peers.run(["c++", "-std=c++20", "-O2", str(source), "-I" + str(folder / "include"), "-o", str(program), *names, "-fopenmp", "-ldl", "-pthread"])
    return str(program)


def rounded(x, dtype):
    """Values that `dtype` holds, as f32: bf16 by rounding to nearest even."""
    import numpy as np

    if dtype == "f32":
        return x
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


class Inputs:
    """A case's files, and what double precision makes of sampled rows."""

    SAMPLES = 16

    def __init__(self, folder, options, shape, dtype, logits):
        import numpy as np

        self.batch, self.heads, self.seq_q, self.seq_kv, self.head_dim = shape
        self.files, self.options, self.dtype = os.path.join(folder, "case"), options, dtype
        self.kv_heads = self.heads // 8 if options == "gqa 8:1" else self.heads
        self.causal = 1 if options == "causal" else 0
        self.window = (256, 0) if options == "window 256" else (-1, -1)
        self.mask = {"bool mask": "bool", "kv_lengths": "lengths"}.get(options, "none")
        random = np.random.default_rng(1)
        draw = lambda seq, heads: random.standard_normal((self.batch, seq, heads, self.head_dim), np.float32)
        self.q = rounded(draw(self.seq_q, self.heads) * np.float32(logits), dtype)
        self.k, self.v = (rounded(draw(self.seq_kv, self.kv_heads), dtype) for _ in "kv")
        for name in "qkv":
            getattr(self, name).tofile(f"{self.files}.{name}")
        self.seen = random.random((self.seq_q, self.seq_kv)) > 0.3 if self.mask == "bool" else None
        if self.seen is not None:
            self.seen.tofile(self.files + ".mask")
        self.lengths = np.linspace(self.seq_kv, self.seq_kv * 0.6, self.batch).astype(np.int32)
        self.lengths.tofile(self.files + ".lengths")

    def line(self):
        return (f"case {self.batch} {self.heads} {self.kv_heads} {self.seq_q} {self.seq_kv} {self.head_dim} {self.dtype} {self.causal} "
                f"{self.window[0]} {self.window[1]} {self.mask} {self.files}")

    def visible(self, rows):
        """bool [batch, rows, seq_kv]: seen by position or key length."""
        import numpy as np

        key, query = np.arange(self.seq_kv), np.asarray(rows)[:, None]
        seen = np.ones((self.batch, len(rows), self.seq_kv), np.bool_)
        if self.causal:
            seen &= key <= query
        if self.window[0] >= 0:
            seen &= (key >= query - self.window[0]) & (key <= query + self.window[1])
        if self.mask == "lengths":
            seen &= key < self.lengths[:, None, None]
        return seen

    def flop(self):
        pairs = sum(int(self.visible(range(i, min(i + 512, self.seq_q))).sum()) for i in range(0, self.seq_q, 512))
        return 4.0 * pairs * self.heads * self.head_dim

    def oracle(self):
        """Sampled rows, out [batch, heads, rows, head_dim] and lse [batch, heads, rows] in double."""
        import numpy as np

        self.rows = np.unique(np.linspace(0, self.seq_q - 1, self.SAMPLES).astype(int))
        seen = self.visible(self.rows)
        if self.seen is not None:
            seen = seen & self.seen[self.rows]
        out, lse = (np.empty((self.batch, self.heads, len(self.rows)) + end) for end in ((self.head_dim,), ()))
        for b in range(self.batch):
            for h in range(self.heads):
                k, v = (x[b, :, h * self.kv_heads // self.heads].astype(np.float64) for x in (self.k, self.v))
                scores = self.q[b, self.rows, h].astype(np.float64) @ k.T / math.sqrt(self.head_dim)
                scores[~seen[b]] = -np.inf
                most = scores.max(-1, keepdims=True)
                weights = np.exp(scores - most)
                lse[b, h] = (most + np.log(weights.sum(-1, keepdims=True)))[:, 0]
                out[b, h] = weights @ v / weights.sum(-1, keepdims=True)
        return out, lse

    def errors(self, peer, oracle):
        """Relative rms and largest error of out, largest absolute error of lse (None where the peer has none)."""
        import numpy as np

        peer.ask(f"store {self.files}.out")
        stored = np.fromfile(self.files + ".out", np.float32)
        count = self.q.size
        got = stored[:count].reshape(self.q.shape)[:, self.rows].transpose(0, 2, 1, 3)
        size = math.sqrt(float((oracle[0] ** 2).mean()))
        difference = np.abs(got - oracle[0]) / size
        lse = None
        if stored.size > count:
            lse = float(np.abs(stored[count:].reshape(self.batch, self.heads, self.seq_q)[:, :, self.rows] - oracle[1]).max())
        return {"rms_error": float(np.sqrt((difference**2).mean())), "max_error": float(difference.max()), "lse_error": lse}


def measure_peaks(threads):
    """Operations and bytes per second of `annulus bench peak` by name; nothing when the program is not built."""
    try:
        rows = json.loads(peers.run([peers.program(), "bench", "peak", "--threads", str(threads), "--seconds", "0.3", "--json", "-"]))["rows"]
    except SystemExit as missing:
        print(f"no peaks: {missing}", file=sys.stderr)
        return {}
    return {row["what"]: row["per_second"] for row in rows}


def peak_of(peaks, dtype, isa):
    """The peak of the units that our kernel for `dtype` uses on an instruction set."""
    best = lambda start: max((rate for name, rate in peaks.items() if name.startswith(start)), default=None)
    if dtype == "bf16" and isa == "amx":
        return best("bf16 tile")
    if dtype == "bf16" and isa == "avx512_bf16":
        return best("bf16 dot")
    return best("f32")


def settle():
    time.sleep(0.03)  # threads of the peer that just ran spin for a while before they sleep


def measure(started, inputs, threads, rounds):
    """One row: seconds per peer and round."""
    able, once = [], {}
    for peer in started:
        try:
            peer.load(inputs.line())
            peer.ask(f"threads {threads}")
            first = peer.time(1, 1)[0]
            once[peer.name] = first if first > 0.3 else peer.time(1, 1)[0]
            able.append(peer)
        except Refused as why:
            print(f"  {peer.name}: {why}", file=sys.stderr)
            if peer.name == "annulus":
                raise
    runs = {name: max(1, min(2000, int(0.02 / seconds))) for name, seconds in once.items()}
    seconds = {peer.name: [] for peer in able}
    for _ in range(rounds):
        for peer in able:
            settle()
            seconds[peer.name] += peer.time(1, runs[peer.name])
    oracle = inputs.oracle()
    return {peer.name: {"what": peer.what, "seconds": seconds[peer.name], **inputs.errors(peer, oracle)} for peer in able}


def measure_parts(peer, inputs, threads, rounds, peaks):
    """What parts of our own cost: seconds per mode, alternating."""
    peer.load(inputs.line())
    peer.ask(f"threads {threads}")
    modes = {mode: max(1, int(0.02 / peer.time(2, 1, mode)[1])) for mode in ("lse", "plain", "fold 4", "merge")}
    seconds = {mode: [] for mode in modes}
    for _ in range(rounds):
        for mode, runs in modes.items():
            seconds[mode] += peer.time(1, runs, mode)
    cost = peers.ratio(seconds["lse"], seconds["plain"]) - 1
    fold = peers.ratio(seconds["fold 4"], seconds["lse"])
    rate = 12.0 * inputs.q.size / peers.median(seconds["merge"])
    copy = max((rate for name, rate in peaks.items() if name.startswith("memory")), default=None)
    row = {"shape": [inputs.batch, inputs.heads, inputs.seq_q, inputs.seq_kv, inputs.head_dim], "dtype": inputs.dtype, "threads": threads, "seconds": seconds,
           "lse_cost": cost, "fold_of_whole": fold, "merge_bytes_per_second": rate, "memory_bytes_per_second": copy}
    print(f"{','.join(map(str, row['shape'])):32} {row['dtype']:4} {threads}  log-sum-exp costs {100 * cost:.1f} %, four folds take {fold:.2f}x of the keys whole, "
          f"merge {rate / 1e9:.1f} GB/s" + (f" ({100 * rate / copy:.0f} % of the memory's)" if copy else ""), flush=True)
    return row


def show(row):
    ours, flop = row["peers"]["annulus"], row["flop"]
    shape = ",".join(map(str, row["shape"])) + (" " + row["options"] if row["options"] else "")
    share = f"{100 * row['share_of_peak']:3.0f} %" if row["share_of_peak"] else "    -"
    text = f"{shape:32} {row['dtype']:4} {row['threads']}  annulus {ours['median'] * 1e3:9.3f} ms {flop / ours['median'] / 1e9:7.1f} GFLOP/s {share} error {ours['rms_error']:.1e}"
    for name, peer in row["peers"].items():
        if name != "annulus":
            text += f"   {name} {peer['median'] * 1e3:9.3f} ms {flop / peer['median'] / 1e9:7.1f} error {peer['rms_error']:.1e}  {peer['ratio']:.2f}x"
    print(text, flush=True)


def summarise(rows):
    """Geometric mean and least ratio against each peer, per type and number of threads."""
    summary = []
    for name in {name: None for row in rows for name in row["peers"] if name != "annulus"}:
        for key in {(row["dtype"], row["threads"], row["set"]): None for row in rows if name in row["peers"]}:
            own = [row for row in rows if (row["dtype"], row["threads"], row["set"]) == key and name in row["peers"]]
            ratios = [row["peers"][name]["ratio"] for row in own]
            worst = min(own, key=lambda row: row["peers"][name]["ratio"])
            summary.append({"peer": name, "dtype": key[0], "threads": key[1], "set": key[2], "shapes": len(own),
                            "geometric_mean": math.exp(sum(map(math.log, ratios)) / len(ratios)), "least": min(ratios),
                            "least_shape": worst["shape"], "least_options": worst["options"]})
            s = summary[-1]
            print(f"{s['set']:8} {s['dtype']:4} {s['threads']} threads against {name}: geometric mean {s['geometric_mean']:.2f}x over {s['shapes']}, "
                  f"least {s['least']:.2f}x at {','.join(map(str, s['least_shape']))} {s['least_options']}")
    return summary


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=["main", "lengths", "options", "parts", "all"], default="main")
    parser.add_argument("--dtype", choices=["f32", "bf16"], action="append")
    parser.add_argument("--threads", type=int, action="append", help="repeatable [1 and 2]")
    parser.add_argument("--shape", action="append", help="BATCH,HEADS,SEQ_Q,SEQ_KV,HEAD_DIM in place of a set; repeatable")
    parser.add_argument("--rounds", type=int, default=0, help="[3 to 9, by size]")
    parser.add_argument("--logits", type=float, default=1.0, help="factor on q: 1 gives logits of ordinary size, 20 reaches 80 and beyond")
    parser.add_argument("--peers", help="names, with commas [all there are]")
    parser.add_argument("--quick", action="store_true", help="three shapes and three rounds: half a minute")
    parser.add_argument("--json", help="write everything there")
    return parser.parse_args()


def rounds_of(a, flop):
    if a.rounds or a.quick:
        return a.rounds or 3
    return 3 if flop > 5e11 else 5 if flop > 5e10 else 9


def main():
    a = parse()
    peers.in_environment()
    started = start_peers(a.peers.split(",") if a.peers else None)
    threads_wanted = a.threads or ([2] if a.quick else [1, 2])
    peaks = {threads: measure_peaks(threads) for threads in threads_wanted}
    chosen = [("", tuple(map(int, s.split(",")))) for s in a.shape] if a.shape else cases(a.set, a.quick)
    print(peers.machine(), flush=True)
    rows = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        for options, shape in chosen:
            for dtype in a.dtype or ["f32", "bf16"]:
                inputs = Inputs(folder, options, shape, dtype, a.logits)
                flop = inputs.flop()
                for threads in threads_wanted:
                    measured = measure(started, inputs, threads, rounds_of(a, flop))
                    isa = measured["annulus"]["what"]
                    row = {"set": "lengths" if shape in LENGTHS and not options else "options" if options else "main", "shape": list(shape), "options": options,
                           "dtype": dtype, "threads": threads, "isa": isa, "flop": flop, "peers": measured}
                    for peer in measured.values():
                        peer["median"] = peers.median(peer["seconds"])
                        peer["ratio"] = peers.ratio(peer["seconds"], measured["annulus"]["seconds"])
                    peak = peak_of(peaks[threads], dtype, isa)
                    row["share_of_peak"] = flop / measured["annulus"]["median"] / peak if peak else None
                    rows.append(row)
                    show(row)
        parts = []
        if a.set in ("parts", "all") and not a.shape:
            for dtype in a.dtype or ["f32", "bf16"]:
                inputs = Inputs(folder, "", (QUICK if a.quick else MAIN)[0], dtype, a.logits)
                parts += [measure_parts(started[0], inputs, threads, a.rounds or 9, peaks[threads]) for threads in threads_wanted]
    summary = summarise(rows)
    for peer in started:
        peer.end()
    if a.json:
        report = {"machine": peers.machine(), "date": time.strftime("%Y-%m-%d"), "commit": commit(), "logits": a.logits, "peaks": peaks, "rows": rows, "parts": parts, "summary": summary}
        pathlib.Path(a.json).write_text(json.dumps(report, indent=1) + "\n")


def commit():
    done = subprocess.run(["git", "-C", str(peers.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or None


if __name__ == "__main__":
    main()
