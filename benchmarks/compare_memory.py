#!/usr/bin/env python3
"""Memory of a Qwen-Image of two layers at real width (24 heads x 128, text 3584), two steps at 1024x1024 pixels: annulus against diffusers.

    benchmarks/compare_memory.py [--dtype f32|bf16] [--threads 2] [--size 1024]

The model has random weights; it is made once below build/ by diffusers (a small text encoder and VAE, so that the transformer decides).
Compared is the largest resident memory of the whole process: what is anonymous, and the pages of mapped weights that were touched.
"""
import argparse
import os
import tempfile

import peers

MAKE = """
import sys, torch
from diffusers import QwenImageTransformer2DModel, QwenImagePipeline
folder, storybook, dtype = sys.argv[1], sys.argv[2], getattr(torch, sys.argv[3])
torch.manual_seed(0)
pipe = QwenImagePipeline.from_pretrained(storybook, torch_dtype=dtype)
torch.set_default_dtype(dtype)
pipe.transformer = QwenImageTransformer2DModel(num_layers=2, joint_attention_dim=pipe.text_encoder.config.text_config.hidden_size)
pipe.save_pretrained(folder)
print("{}")
"""

RUN = """
import json, resource, sys, torch
from diffusers import QwenImagePipeline
folder, dtype, threads, size = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
pipe = QwenImagePipeline.from_pretrained(folder, torch_dtype=dtype)
pipe.set_progress_bar_config(disable=True)
pipe("a purple house", negative_prompt=" ", true_cfg_scale=1.0, width=size, height=size, num_inference_steps=2, output_type="latent",
     generator=torch.Generator().manual_seed(1))
print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["f32", "bf16"], action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=1024)
    a = parser.parse_args()
    peers.in_environment()
    print(peers.machine())
    for dtype in a.dtype or ["f32", "bf16"]:
        long = {"f32": "float32", "bf16": "bfloat16"}[dtype]
        folder = peers.ROOT / "build" / f"two-layers-{dtype}"
        if not (folder / "model_index.json").exists():
            peers.torch_report(MAKE, folder, peers.ROOT / "demo" / "storybook", long)
        with tempfile.TemporaryDirectory() as out:
            report = peers.annulus_report(["generate", "a purple house", "--model", folder, "--true-cfg-scale", 1, "--steps", 2, "--size", f"{a.size}x{a.size}",
                                           "--dtype", dtype, "--threads", a.threads, "--seed", 1, "--output", os.path.join(out, "x.png"), "--quiet"])
        theirs = peers.torch_report(RUN, folder, long, a.threads, a.size)["peak"]
        ours, predicted = report["bytes"]["peak_resident"], report["bytes"]["predicted_peak"]
        print(f"two layers {dtype} {a.size}x{a.size}: annulus {ours / 2**20:.0f} MiB (predicted {predicted / 2**20:.0f}, {predicted / ours:.2f})   "
              f"diffusers {theirs / 2**20:.0f} MiB   {ours / theirs:.2f}x of diffusers'")


if __name__ == "__main__":
    main()
