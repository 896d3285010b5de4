#!/usr/bin/env python3
"""Ring attention of two ranks with one thread each: annulus over MPI against one rank with two threads, and against PyTorch with gloo.

    benchmarks/compare_ring.py [--runs N] [--peers] [--json FILE] [--docs]

Builds benchmarks/ring_worker in build/release. Ring and one rank alternate within one start; figures are medians over runs, ratios the medians of
the runs' ratios. Beside them stands what `annulus plan` says when it measures its rates in the same minute. --peers adds PyTorch (aten's flash
attention for CPUs, parts merged by log-sum-exp, messages by gloo), since no published ring runs on CPUs. --docs writes the table into docs/sequence_parallelism.md. A shared or throttled machine
shows (real-time scheduling is throttled, too): run it on a quiet one.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import peers

SHAPES = [(1, 24, 4096, 128), (1, 24, 1024, 128), (2, 16, 2048, 64)]
DOCS = peers.ROOT / "docs" / "sequence_parallelism.md"
BEGIN, END = "<!-- measured: made by benchmarks/compare_ring.py -->", "<!-- end of measured -->"

GLOO = r"""
import json, os, statistics, sys, time
import torch, torch.distributed as dist, torch.multiprocessing as mp
flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
shapes, runs = json.loads(sys.argv[1]), int(sys.argv[2])

def ring(q, k, v, rank, ranks):
    total = weight = None
    for hop in range(ranks):
        if hop + 1 < ranks:
            kv = torch.stack([k, v])
            coming = torch.empty_like(kv)
            waits = dist.batch_isend_irecv([dist.P2POp(dist.isend, kv, (rank + 1) % ranks), dist.P2POp(dist.irecv, coming, (rank - 1) % ranks)])
        out, lse = flash(q, k, v)
        out, lse = out.float(), lse.unsqueeze(-1)
        if total is None:
            total, weight = out, lse
        else:
            share = torch.sigmoid(lse - weight)
            total, weight = total + share * (out - total), torch.logaddexp(weight, lse)
        if hop + 1 < ranks:
            for wait in waits:
                wait.wait()
            k, v = coming[0], coming[1]
    return total.to(q.dtype)

def main(rank, ranks):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=os.environ["RING_PORT"])
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    rows = []
    with torch.inference_mode():
        for batch, heads, seq, head_dim in shapes:
            for dtype in (torch.float32, torch.bfloat16):
                torch.manual_seed(0)
                whole = [torch.randn(batch, heads, seq, head_dim).to(dtype) for _ in range(3)]
                own = [x[:, :, rank * seq // ranks:(rank + 1) * seq // ranks].contiguous() for x in whole]
                together, alone = [], []
                for run in range(runs + 1):
                    torch.set_num_threads(1)
                    dist.barrier()
                    start = time.perf_counter()
                    ring(*own, rank, ranks)
                    dist.barrier()
                    together.append(time.perf_counter() - start)
                    torch.set_num_threads(ranks)
                    start = time.perf_counter()
                    if rank == 0:
                        flash(*whole)
                    dist.barrier()
                    alone.append(time.perf_counter() - start)
                rows.append({"shape": [batch, heads, seq, head_dim], "dtype": "f32" if dtype == torch.float32 else "bf16",
                             "ring": together[1:], "alone": alone[1:]})
    if rank == 0:
        print(json.dumps(rows), flush=True)
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(main, (2,), 2)
"""


def worker(*arguments, runs):
    """Lines of JSON that two ranks of ring_worker print."""
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_WAIT_POLICY": "passive",
                   "ANNULUS_BENCH_RUNS": str(runs)}
    program = peers.ROOT / "build/release/benchmarks/ring_worker"
    text = peers.run(["mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none", str(program), *map(str, arguments)], env=environment)
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def predicted(shape, dtype, way):
    """Seconds of the ring by `annulus plan`, which measures its rates now."""
    batch, heads, seq, head_dim = shape
    report = json.loads(peers.run([peers.program(), "plan", "--batch", str(batch), "--tokens", str(seq), "--heads", str(heads), "--head-dim", str(head_dim),
                                   "--dtype", dtype, "--ranks", "2", "--json", "-", *(["--no-shared-memory"] if way == "by messages" else [])]))
    return next(plan["step_seconds"] for plan in report["plans"] if plan["ring"] == 2)


def build():
    peers.run(["cmake", "--preset", "release", "-DANNULUS_BENCHMARKS=ON"], cwd=peers.ROOT)
    peers.run(["cmake", "--build", "build/release", "--target", "annulus_ring_worker", "annulus"], cwd=peers.ROOT)


def ratio(ring, alone):
    return statistics.median(a / b for a, b in zip(alone, ring))


def measure(runs, with_peers):
    result = {"machine": {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.platform(), "load": round(os.getloadavg()[0], 1)}, "runs": runs, "scaling": [], "overlap": []}
    result["exchange"] = worker("exchange", runs=runs)
    for shape in SHAPES:
        for dtype in ("f32", "bf16"):
            for way in ("in place", "by messages"):
                rows = worker("ring", *shape, dtype, *(["in_place"] if way == "in place" else []), runs=runs)
                result["scaling"].append({"who": f"annulus, {way}", "shape": shape, "dtype": dtype, "ring": rows[0]["seconds"],
                                          "alone": rows[1]["seconds"], "predicted": predicted(shape, dtype, way)})
            result["overlap"].append({row["what"]: row["seconds"] for row in worker("overlap", *shape, dtype, runs=runs)} |
                                     {"shape": shape, "dtype": dtype})
    if with_peers:
        script = peers.ROOT / "build" / "ring_gloo.py"
        script.write_text(GLOO)
        done = peers.run([sys.executable, str(script), json.dumps(SHAPES), str(runs)],
                         env={**os.environ, "RING_PORT": str(20000 + os.getpid() % 20000)})
        for row in json.loads(done.strip().splitlines()[-1]):
            result["scaling"].append({"who": "PyTorch, gloo"} | row)
    return result


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def milliseconds(values):
    return f"{1e3 * statistics.median(values):.1f}"


def table(result):
    machine = result["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, medians of {result['runs']} runs; load average before {machine['load']}.", "",
             "| batch, heads, seq, head_dim | dtype | who | ring 2 x 1 thread, ms | one rank x 2 threads, ms | ring / one rank | `annulus plan` said, ms |", "|---|---|---|---|---|---|---|"]
    for row in sorted(result["scaling"], key=lambda r: (SHAPES.index(tuple(r["shape"])), r["dtype"] != "f32", r["who"])):
        lines.append(f"| {', '.join(map(str, row['shape']))} | {row['dtype']} | {row['who']} | {milliseconds(row['ring'])} | "
                     f"{milliseconds(row['alone'])} | {100 * ratio(row['ring'], row['alone']):.0f} % | "
                     + (f"{1e3 * row['predicted']:.1f} |" if "predicted" in row else "|"))
    lines += ["", "| a shard's exchange beside arithmetic | dtype | MB | arithmetic, ms | exchange, ms | both, ms | left to wait for, ms |", "|---|---|---|---|---|---|---|"]
    for row in result["overlap"]:
        batch, heads, seq, head_dim = row["shape"]
        size = 2 * batch * heads * seq // 2 * head_dim * (4 if row["dtype"] == "f32" else 2) / 1e6
        lines.append(f"| {', '.join(map(str, row['shape']))} | {row['dtype']} | {size:.1f} | {milliseconds(row['compute'])} | {milliseconds(row['message'])} | "
                     f"{milliseconds(row['together'])} | {milliseconds(row['left_after_compute'])} |")
    lines += ["", "| message, both ways at once | microseconds | GB/s each way |", "|---|---|---|"]
    for row in result["exchange"]:
        seconds = statistics.median(row["seconds"])
        lines.append(f"| {row['bytes']:,} bytes | {1e6 * seconds:.1f} | {row['bytes'] / seconds / 1e9:.2f} |")
    return "\n".join(lines)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--peers", action="store_true", help="PyTorch with gloo, too")
    options.add_argument("--json", type=pathlib.Path, help="write the figures there")
    options.add_argument("--docs", action="store_true", help="write the table into docs/sequence_parallelism.md")
    given = options.parse_args()
    if given.peers:
        peers.in_environment()
    build()
    result = measure(given.runs, given.peers)
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    if given.docs:
        text = DOCS.read_text()
        DOCS.write_text(text[:text.index(BEGIN) + len(BEGIN)] + "\n\n" + table(result) + "\n\n" + text[text.index(END):])


if __name__ == "__main__":
    main()
