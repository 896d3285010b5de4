#!/usr/bin/env python3
"""A Qwen-Image block at real width (24 heads x 128, 4096 image + 128 text tokens): annulus against diffusers on PyTorch.

    benchmarks/compare_block.py [--dtype f32|bf16] [--threads 2] [--rounds 3] [--image 4096] [--text 128]
"""
import argparse

import peers

TORCH = """
import json, sys, time, torch
from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformerBlock
dtype, threads, image, text = getattr(torch, sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
torch.manual_seed(0)
block = QwenImageTransformerBlock(dim=3072, num_attention_heads=24, attention_head_dim=128).eval().to(dtype)
img, txt, temb = (torch.randn(1, n, 3072, dtype=dtype) for n in (image, text, 1))
angles = lambda n: torch.polar(torch.ones(n, 64), torch.rand(n, 64) * 6.28)
arguments = dict(hidden_states=img, encoder_hidden_states=txt, encoder_hidden_states_mask=None, temb=temb[:, 0],
                 image_rotary_emb=(angles(image), angles(text)))
times = []
with torch.inference_mode():
    for _ in range(4):
        start = time.perf_counter()
        block(**arguments)
        times.append(time.perf_counter() - start)
print(json.dumps({"seconds": sorted(times[1:])[1]}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["f32", "bf16"], action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", type=int, default=4096)
    parser.add_argument("--text", type=int, default=128)
    a = parser.parse_args()
    peers.in_environment()
    print(peers.machine(), f"; {a.threads} threads, medians of {a.rounds} rounds in turn")
    for dtype in a.dtype or ["f32", "bf16"]:
        long = {"f32": "float32", "bf16": "bfloat16"}[dtype]

        def ours():
            rows = peers.annulus_report(["bench", "block", "--dtype", dtype, "--threads", a.threads, "--shape", f"{a.image},{a.text}", "--seconds", 1])["rows"]
            return {row["dtype"]: row for row in rows}

        def theirs():
            return peers.torch_report(TORCH, long, a.threads, a.image, a.text)["seconds"]

        results = peers.alternate(a.rounds, ours=ours, theirs=theirs)
        torch_seconds = results["theirs"]
        for kind in results["ours"][0]:
            seconds = [r[kind]["seconds"] for r in results["ours"]]
            flop = results["ours"][0][kind]["flop"]
            print(f"block {a.image}+{a.text} {kind:18} annulus {peers.median(seconds):.3f} s {flop / peers.median(seconds) / 1e9:.0f} GFLOP/s   "
                  f"diffusers {dtype} {peers.median(torch_seconds):.3f} s {flop / peers.median(torch_seconds) / 1e9:.0f} GFLOP/s   "
                  f"{peers.ratio(torch_seconds, seconds):.2f}x")


if __name__ == "__main__":
    main()
