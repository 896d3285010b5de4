#!/usr/bin/env python3
"""A storybook picture (128x128, 20 steps, guidance): annulus against diffusers, from process start and with the model loaded.

    benchmarks/compare_storybook.py [--dtype f32|bf16] [--threads 2] [--rounds 5]
"""
import argparse
import os
import tempfile
import time

import peers

PROMPT = "a purple house in the snow"
MODEL = peers.ROOT / "demo" / "storybook"

TORCH = """
import json, sys, time, torch
from diffusers import QwenImagePipeline
dtype, threads, model, prompt, count = getattr(torch, sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
torch.set_num_threads(threads)
pipe = QwenImagePipeline.from_pretrained(model, torch_dtype=dtype)
pipe.set_progress_bar_config(disable=True)
times = []
for i in range(count):
    start = time.perf_counter()
    image = pipe(prompt, negative_prompt=" ", true_cfg_scale=3.0, width=128, height=128, num_inference_steps=20,
                 generator=torch.Generator().manual_seed(1)).images[0]
    times.append(time.perf_counter() - start)
image.save(sys.argv[6])
print(json.dumps({"seconds": sorted(times[1:] or times)[len(times[1:]) // 2]}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["f32", "bf16"], action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    peers.in_environment()
    print(peers.machine(), f"; {a.threads} threads, medians of {a.rounds} rounds in turn")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in a.dtype or ["f32", "bf16"]:
            compare(dtype, a, folder)


def compare(dtype, a, folder):
    long = {"f32": "float32", "bf16": "bfloat16"}[dtype]
    out = os.path.join(folder, "picture.png")

    def whole(command):
        start = time.perf_counter()
        peers.run(command)
        return time.perf_counter() - start

    def ours():
        return whole([peers.program(), "generate", PROMPT, "--seed", "1", "--dtype", dtype, "--threads", str(a.threads), "--output", out, "--overwrite", "--quiet"])

    def theirs():
        return whole([peers.sys.executable, "-c", TORCH, long, str(a.threads), str(MODEL), PROMPT, "1", out])

    def ours_loaded():
        report = peers.annulus_report(["generate", *[PROMPT] * 4, "--seed", 1, "--dtype", dtype, "--threads", a.threads, "--output", out, "--overwrite", "--quiet"])
        seconds = report["seconds"]
        return {"picture": (seconds["encode"] + seconds["denoise"] + seconds["decode"]) / 4, "first": seconds["start_to_first_step"],
                "predicted": report["bytes"]["predicted_peak"] / report["bytes"]["peak_resident"]}

    def theirs_loaded():
        return peers.torch_report(TORCH, long, a.threads, MODEL, PROMPT, 4, out)["seconds"]

    cold = peers.alternate(a.rounds, ours=ours, theirs=theirs)
    warm = peers.alternate(a.rounds, ours=ours_loaded, theirs=theirs_loaded)
    pictures = [one["picture"] for one in warm["ours"]]
    print(f"storybook {dtype} from process start   annulus {peers.median(cold['ours']):.3f} s   diffusers {peers.median(cold['theirs']):.3f} s   {peers.ratio(cold['theirs'], cold['ours']):.1f}x")
    print(f"storybook {dtype} with the model loaded annulus {peers.median(pictures):.3f} s   diffusers {peers.median(warm['theirs']):.3f} s   {peers.ratio(warm['theirs'], pictures):.2f}x")
    print(f"storybook {dtype} start to first step   annulus {peers.median([one['first'] for one in warm['ours']]):.3f} s")
    print(f"storybook {dtype} predicted / resident memory {peers.median([one['predicted'] for one in warm['ours']]):.2f}")


if __name__ == "__main__":
    main()
