#!/usr/bin/env python3
"""Makes tests/images: small PNG, JPEG and WebP files of every kind with the pixels that Pillow reads from them (as .ppm),
and resize.json, what Pillow and torchvision make of a few sizes.

Needs numpy, Pillow 13, torch and torchvision 0.29 (the last two for resize.json only). Run from anywhere."""
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "images"
WIDTH, HEIGHT = 23, 17


def picture(channels, seed=0, width=WIDTH, height=HEIGHT):
    """Smooth with an edge: kind to JPEG, not constant anywhere."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(7 * x + 3 * y * (c + 1) + 40 * c + seed + 60 * (x + y > 20)) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, interlaced=False, extra=b""):
    """samples: [height, width, channels] of integers below 2^depth."""
    height, width, _ = samples.shape

    def rows(part):
        out = b""
        for row in part:
            flat = row.reshape(-1)
            if depth == 16:
                data = flat.astype(">u2").tobytes()
            elif depth == 8:
                data = flat.astype(np.uint8).tobytes()
            else:
                bits = "".join(format(int(v), f"0{depth}b") for v in flat)
                bits += "0" * (-len(bits) % 8)
                data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
            out += b"\0" + data
        return out

    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
        raw = b"".join(rows(p) for p in parts if p.size)
    else:
        raw = rows(samples)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def expect(name, rgb):
    height, width, _ = rgb.shape
    (FOLDER / (name + ".ppm")).write_bytes(b"P6 %d %d 255\n" % (width, height) + rgb.astype(np.uint8).tobytes())


def expect_pillow(name):
    with Image.open(FOLDER / name) as image:
        expect(name, np.array(ImageOps.exif_transpose(image).convert("RGB")))


def pngs():
    rgb, grey = picture(3), picture(1)
    palette = bytes((i * k) % 256 for i in range(16) for k in (11, 23, 47))
    files = {
        "grey1": png(grey >> 7, 1, 0), "grey2": png(grey >> 6, 2, 0), "grey4": png(grey >> 4, 4, 0), "grey8": png(grey, 8, 0),
        "grey_alpha": png(picture(2), 8, 4), "rgb": png(rgb, 8, 2), "rgb_interlaced": png(rgb, 8, 2, True),
        "rgb16": png(rgb.astype(int) * 256 + 200, 16, 2), "rgba": png(picture(4), 8, 6),
        "rgba16_interlaced": png(picture(4).astype(int) * 256 + 99, 16, 6, True),
        "palette4": png(grey >> 4, 4, 3, extra=chunk(b"PLTE", palette)),
        "palette4_clear": png(grey >> 4, 4, 3, extra=chunk(b"PLTE", palette) + chunk(b"tRNS", bytes(range(0, 160, 10)))),
        "rgb_clear": png(rgb, 8, 2, extra=chunk(b"tRNS", struct.pack(">HHH", *map(int, rgb[0, 0])))),
        "gamma": png(rgb, 8, 2, extra=chunk(b"gAMA", struct.pack(">I", 100000))),
        "one_pixel": png(rgb[:1, :1], 8, 2),
    }
    for name, data in files.items():
        (FOLDER / f"{name}.png").write_bytes(data)
        expect_pillow(f"{name}.png")
    # Pillow 13 clips 16-bit grey to 255, which leaves white pictures; the upper byte is what anyone wants.
    (FOLDER / "grey16.png").write_bytes(png(grey.astype(int) * 256 + 17, 16, 0))
    expect("grey16.png", np.repeat(grey, 3, -1))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(FOLDER / "turned.png", exif=exif)
    expect_pillow("turned.png")


def jpegs():
    rgb = Image.fromarray(picture(3))
    rgb.save(FOLDER / "colour444.jpg", quality=90, subsampling=0)
    rgb.save(FOLDER / "colour420.jpg", quality=80, subsampling=2)
    rgb.save(FOLDER / "progressive.jpg", quality=85, progressive=True)
    rgb.convert("L").save(FOLDER / "grey.jpg", quality=90)
    Image.fromarray(picture(4), "CMYK").save(FOLDER / "cmyk.jpg", quality=92)
    for name in ("colour444", "colour420", "progressive", "grey", "cmyk"):
        expect_pillow(name + ".jpg")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        rgb.save(FOLDER / f"turned{orientation}.jpg", quality=90, subsampling=0, exif=exif)
        expect_pillow(f"turned{orientation}.jpg")


def webps():
    rgb, rgba = Image.fromarray(picture(3)), Image.fromarray(picture(4))
    rgb.save(FOLDER / "lossless.webp", lossless=True)
    rgb.save(FOLDER / "lossy.webp", quality=80)
    rgba.save(FOLDER / "alpha.webp", lossless=True, exact=True)
    rgb.save(FOLDER / "animated.webp", lossless=True, save_all=True, append_images=[Image.fromarray(picture(3, 90))], duration=50)
    exif = Image.Exif()
    exif[0x0112] = 8
    rgb.save(FOLDER / "turned.webp", lossless=True, exif=exif)
    for name in ("lossless", "lossy", "alpha", "animated", "turned"):
        expect_pillow(name + ".webp")


def noise(width, height):
    """The bytes of image_resize_test.cc: the upper bytes of a linear congruential generator."""
    state, out = 1, []
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(state >> 24)
    return np.array(out, np.uint8).reshape(height, width, 3)


def resizes():
    import torch
    from torchvision.transforms.v2 import functional

    cases = []
    sizes = [(7, 5, 3, 9), (16, 16, 16, 5), (33, 1, 8, 8), (25, 35, 16, 16), (14, 10, 8, 8), (40, 30, 7, 8), (30, 40, 28, 9),
             (2, 2, 5, 5), (400, 3, 7, 3), (3, 500, 3, 6), (9, 20, 12, 8)]
    for width, height, to_width, to_height in sizes:
        source = noise(width, height)
        for name in ("bilinear", "bicubic", "lanczos"):
            made = {"pillow": np.array(Image.fromarray(source).resize((to_width, to_height), getattr(Image.Resampling, name.upper())))}
            if name != "lanczos":
                tensor = torch.from_numpy(source).permute(2, 0, 1).contiguous()
                mode = getattr(functional.InterpolationMode, name.upper())
                made["torchvision"] = functional.resize(tensor, [to_height, to_width], mode, antialias=True).permute(1, 2, 0).numpy()
            for like, pixels in made.items():
                cases.append({"from": [width, height], "to": [to_width, to_height], "filter": name, "like": like,
                              "pixels": pixels.reshape(-1).tolist()})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (FOLDER / "resize.json").write_text("[\n" + lines + "\n]\n")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    pngs()
    jpegs()
    webps()
    resizes()
