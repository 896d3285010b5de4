"""What the comparisons share: a virtual environment with the peers, timing of the program, medians, a table.

A comparison calls `in_environment()` first: it makes the environment below build/ once (PyTorch, diffusers, transformers from PyPI) and starts
the script again inside it. Each peer runs in a process of its own with its own threads, in turn with ours, so that both meet the same machine.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["torch==2.15.0", "diffusers==0.42.1", "transformers==5.23.0", "accelerate", "safetensors", "numpy", "pillow", "matplotlib"]


def in_environment():
    """Runs the calling script inside the environment with the peers; ANNULUS_BENCH_VENV names another one."""
    folder = pathlib.Path(os.environ.get("ANNULUS_BENCH_VENV", ROOT / "build" / "benchmark-venv"))
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix) == folder.resolve() or pathlib.Path(sys.prefix) == folder:
        return
    if not python.exists():
        print(f"making an environment with {' '.join(PACKAGES)} in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), *sys.argv])


def program():
    """The built program; ANNULUS_PROGRAM names another one."""
    path = pathlib.Path(os.environ.get("ANNULUS_PROGRAM", ROOT / "build/release/src/apps/cli/annulus"))
    if not path.exists():
        sys.exit(f"wanted a built program, found none ({path}); run ./annulus doctor once")
    return str(path)


def run(command, **options):
    """Output of a command; its error output is shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def annulus_report(arguments):
    """The JSON report of one run of the program."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        run([program(), *map(str, arguments), "--json", report])
        with open(report) as file:
            return json.load(file)


def torch_report(code, *arguments):
    """The JSON that a piece of Python prints as its last line, run in a process of its own."""
    return json.loads(run([sys.executable, "-c", code, *map(str, arguments)]).strip().splitlines()[-1])


def alternate(rounds, **sides):
    """Runs each side `rounds` times in turn; returns the list of results per side."""
    results = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            results[name].append(side())
    return results


def median(values):
    return statistics.median(values)


def ratio(theirs, ours):
    """Median of their / our figures, pair by pair: above 1 we are faster (or smaller)."""
    return median([t / o for t, o in zip(theirs, ours)])


def machine():
    """One line that names the machine of a figure."""
    text = run(["lscpu"])
    name = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("Model name")), "?")
    flags = next((line for line in text.splitlines() if line.startswith("Flags")), "")
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if f" {unit}" in flags]
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {' '.join(units)}"
