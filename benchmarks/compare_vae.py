#!/usr/bin/env python3
"""VAE decode of one picture at the released Qwen-Image VAE's width: annulus against diffusers on PyTorch.

    benchmarks/compare_vae.py [--dtype f32|bf16] [--threads 2] [--rounds 2] [--size 512]

The VAE has random weights; the model around it, made once below build/ by diffusers, is storybook. Ours is the decoding stage of a whole
`annulus generate`, as its report gives it.
"""
import argparse
import os
import tempfile

import peers

MAKE = """
import sys, torch
from diffusers import AutoencoderKLQwenImage, QwenImagePipeline
folder, storybook, dtype = sys.argv[1], sys.argv[2], getattr(torch, sys.argv[3])
torch.manual_seed(0)
pipe = QwenImagePipeline.from_pretrained(storybook, torch_dtype=dtype)
pipe.vae = AutoencoderKLQwenImage(**{k: v for k, v in pipe.vae.config.items() if k.startswith("latents_")}).to(dtype)
pipe.save_pretrained(folder)
print("{}")
"""

TORCH = """
import json, resource, sys, time, torch
from diffusers import AutoencoderKLQwenImage
dtype, threads, size = getattr(torch, sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(0)
vae = AutoencoderKLQwenImage().eval().to(dtype)
latents = torch.randn(1, 16, 1, size // 8, size // 8, dtype=dtype)
times = []
with torch.inference_mode():
    for _ in range(3):
        start = time.perf_counter()
        vae.decode(latents)
        times.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(times[1:]), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["f32", "bf16"], action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    a = parser.parse_args()
    peers.in_environment()
    print(peers.machine(), f"; {a.threads} threads, medians of {a.rounds} rounds in turn")
    for dtype in a.dtype or ["f32", "bf16"]:
        long = {"f32": "float32", "bf16": "bfloat16"}[dtype]

        folder = peers.ROOT / "build" / f"wide-vae-{dtype}"
        if not (folder / "model_index.json").exists():
            peers.torch_report(MAKE, folder, peers.ROOT / "demo" / "storybook", long)

        def ours():
            with tempfile.TemporaryDirectory() as out:
                return peers.annulus_report(["generate", "a purple house", "--model", folder, "--steps", 2, "--true-cfg-scale", 1, "--size", f"{a.size}x{a.size}",
                                             "--dtype", dtype, "--threads", a.threads, "--seed", 1, "--output", os.path.join(out, "x.png"), "--quiet"])

        def theirs():
            return peers.torch_report(TORCH, long, a.threads, a.size)["seconds"]

        results = peers.alternate(a.rounds, ours=ours, theirs=theirs)
        seconds = [report["seconds"]["decode"] for report in results["ours"]]
        flop = results["ours"][0]["flop"]["decode"]
        print(f"vae decode {a.size}x{a.size} {dtype} annulus {peers.median(seconds):.2f} s {flop / peers.median(seconds) / 1e9:.0f} GFLOP/s   "
              f"diffusers {peers.median(results['theirs']):.2f} s   {peers.ratio(results['theirs'], seconds):.2f}x")


if __name__ == "__main__":
    main()
