#!/usr/bin/env python3
"""Makes tests/tokenizers/variants.json: a small byte-level BPE under all that a tokenizer.json can say about one, and the ids
that Hugging Face tokenizers 0.23 give. Vocabulary and merges are shared; each variant lists what it changes."""
import copy
import json
import pathlib
import random

from tokenizers import Tokenizer

FILE = pathlib.Path(__file__).resolve().parent.parent / "tests" / "tokenizers" / "variants.json"
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "a"), ("a", "b"), ("ab", "c"), ("b", "c"), ("Ġ", "Ġ"), ("1", "2"),
          ("'", "s"), ("l", "l"), ("Ã", "©"), ("h", "e"), ("he", "ll"), ("Ċ", "Ċ"), ("Ġa", "b")]


def byte_characters():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in plain] + [chr(0x100 + i) for i in range(256 - len(plain))]


def added(content, number, **flags):
    entry = {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
    return entry | flags


def base():
    vocab = {c: i for i, c in enumerate(byte_characters())}
    for pair in MERGES:
        vocab.setdefault("".join(pair), len(vocab))
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [added("<|end|>", len(vocab))], "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": MERGES},
    }


def byte_level(prefix, regex):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior, invert):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def variants():
    yield "as_gpt2", {}
    yield "prefix_space", {"pre_tokenizer": byte_level(True, True)}
    yield "no_pattern", {"pre_tokenizer": byte_level(True, False)}
    for each in (False, True):
        yield f"digits_{each}", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": each}, byte_level(True, True))}
    for behavior in ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
        for invert in (False, True):
            for name, pattern in (("blank", {"String": " "}), ("class", {"Regex": r"[\s\d]"}), ("empty", {"Regex": "a*"})):
                yield (f"split_{name}_{behavior}_{invert}",
                       {"pre_tokenizer": sequence(split(pattern, behavior, invert), byte_level(False, False))})
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield form, {"normalizer": {"type": form}}
    steps = [{"type": "NFD"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": "_"},
             {"type": "Replace", "pattern": {"String": "the"}, "content": ""}, {"type": "Prepend", "prepend": "ab"}]
    yield "normalizers", {"normalizer": {"type": "Sequence", "normalizers": steps}}
    tokens = [added("foo", 300, lstrip=True), added("abc", 301, single_word=True), added("é", 302, normalized=True, special=False),
              added("_x_", 303, single_word=True, lstrip=True, rstrip=True, normalized=True), added("foobar", 304, rstrip=True),
              added("\t ", 305)]
    first = len(base()["model"]["vocab"])
    tokens = [t | {"id": base()["model"]["vocab"].get(t["content"], None)} for t in tokens]
    for token in tokens:
        if token["id"] is None:
            first += 1  # the first is <|end|>
            token["id"] = first
    yield "added", {"added_tokens": base()["added_tokens"] + tokens, "normalizer": {"type": "NFC"}}
    yield "added_compatible", {"added_tokens": base()["added_tokens"] + tokens, "normalizer": {"type": "NFKD"}}
    model = base()["model"]
    yield "ignore_merges", {"model": model | {"ignore_merges": True, "merges": MERGES[:4]}}
    yield "merges_as_strings", {"model": model | {"merges": [" ".join(m) for m in reversed(MERGES[4:6])]}}
    fewer = {k: i for i, k in enumerate(k for k, _ in sorted(model["vocab"].items(), key=lambda x: x[1]) if k not in ("Ã", "â", "Ã©"))}
    merges = [m for m in MERGES if "Ã" not in m]
    for unk, fuse in ((None, False), ("z", False), ("z", True)):
        yield (f"missing_bytes_{unk}_{fuse}",
               {"model": model | {"vocab": fewer, "merges": merges, "unk_token": unk, "fuse_unk": fuse},
                "added_tokens": [added("<|end|>", len(fewer))]})
    yield "roberta", {"post_processor": {"type": "RobertaProcessing", "sep": ["<|end|>", model["vocab"]["z"]], "cls": ["a", 64],
                                         "trim_offsets": True, "add_prefix_space": False}}
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "Y", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"X": {"id": "X", "ids": [3, 4], "tokens": ["$", "%"]}, "Y": {"id": "Y", "ids": [7], "tokens": ["("]}}}
    yield "template", {"post_processor": {"type": "Sequence", "processors": [byte_level(True, True), template]}}


def texts(rng):
    parts = ["the", " the", "a", "abc", "foo", "foobar", "_x_", "é", "e\u0301", "ﬁ", "12", "3", "١", " ", "  ", "\n", "\n\n", "\t ", "'s",
             "'ll", "hello", "日本", "😀", "<|end|>", "!", "\u00a0", "\u180e", "\u2028", "z", "\u0323\u0302", "가", "\u1100\u1161"]
    yield from ("", " ", "the abc")
    for _ in range(12):
        yield "".join(rng.choice(parts) for _ in range(rng.randint(2, 14)))


def main():
    rng = random.Random(7)
    shared = base()
    out = []
    for name, change in variants():
        tokenizer = Tokenizer.from_str(json.dumps(copy.deepcopy(shared) | change))
        cases = []
        for text in texts(rng):
            ids = tokenizer.encode(text).ids
            cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
        out.append({"name": name, "change": change, "cases": cases})
    lines = ",\n".join(json.dumps(v, separators=(",", ":")) for v in out)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text('{"base":' + json.dumps(shared, separators=(",", ":")) + ',\n"variants":[\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
