"""Makes tests/goldens/lora_names: small LoRA files under every kind of name that diffusers reads for Qwen-Image, and
the scale that diffusers and PEFT give each module's product. Needs torch, diffusers 0.42, peft, safetensors.

    python tools/goldens/lora_names.py tests/goldens/lora_names
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import QwenImageTransformer2DModel
from diffusers.loaders.lora_pipeline import QwenImageLoraLoaderMixin
from safetensors.torch import load_file, save_file

MODULES = [
    "img_in",
    "time_text_embed.timestep_embedder.linear_1",
    "norm_out.linear",
    "transformer_blocks.0.attn.to_q",
    "transformer_blocks.0.attn.to_out.0",
    "transformer_blocks.0.attn.add_k_proj",
    "transformer_blocks.0.attn.to_add_out",
    "transformer_blocks.0.img_mlp.net.0.proj",
    "transformer_blocks.0.txt_mod.1",
]


def model():
    torch.manual_seed(0)
    return QwenImageTransformer2DModel(
        patch_size=2, in_channels=8, out_channels=2, num_layers=1, attention_head_dim=8, num_attention_heads=1,
        joint_attention_dim=8, axes_dims_rope=(2, 2, 4),
    )


def pairs(rank_of=lambda name: 2):
    transformer = model()
    result = {}
    for name in MODULES:
        weight = transformer.get_submodule(name).weight
        rank = rank_of(name)
        result[name] = (torch.randn(rank, weight.shape[1]), torch.randn(weight.shape[0], rank))
    return result


def named(prefix, down, up, alpha=None, module=lambda name: name, rank_of=lambda name: 2):
    tensors = {}
    for i, (name, (a, b)) in enumerate(pairs(rank_of).items()):
        tensors[f"{prefix}{module(name)}.{down}.weight"] = a
        tensors[f"{prefix}{module(name)}.{up}.weight"] = b
        if alpha is not None:
            tensors[f"{prefix}{module(name)}.alpha"] = torch.tensor(alpha + i)
    return tensors


def peft_metadata(**values):
    return {"format": "pt", "lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in values.items()}, sort_keys=True)}


def variants():
    def underscored(name):
        return name.replace(".", "_")

    def mixed(name):
        return 3 if name == "img_in" else 2

    yield "peft", named("transformer.", "lora_A", "lora_B"), None
    # The converter, which reads alphas, wants no component's name.
    yield "peft_alpha", named("", "lora_A", "lora_B", alpha=1.0), None
    yield "peft_ranks", named("transformer.", "lora_A", "lora_B", rank_of=mixed), None
    yield "lightning", named("", "lora_down", "lora_up", alpha=4.0), None
    yield "comfyui", named("diffusion_model.", "lora_A", "lora_B"), None
    yield "comfyui_alpha", named("diffusion_model.", "lora_down", "lora_up", alpha=1.0), None
    yield "kohya", named("lora_unet_", "lora_down", "lora_up", alpha=1.0, module=underscored), None
    yield "adapter_name", named("", "lora_A.default", "lora_B.default"), None
    yield "old", named("transformer.", "lora.down", "lora.up"), None
    yield "metadata", named("transformer.", "lora_A", "lora_B"), peft_metadata(
        r=2, lora_alpha=6, target_modules=MODULES)
    yield "metadata_patterns", named("transformer.", "lora_A", "lora_B", rank_of=mixed), peft_metadata(
        r=2, lora_alpha=1, target_modules=MODULES, rank_pattern={"img_in": 3}, alpha_pattern={"^transformer_blocks.0.attn.to_q": 8, "linear_1": 3})
    yield "metadata_rslora", named("transformer.", "lora_A", "lora_B"), peft_metadata(
        r=2, lora_alpha=6, use_rslora=True, target_modules=MODULES)


class Loader(QwenImageLoraLoaderMixin):
    pass


def scales(file):
    """What diffusers makes of the file: module -> factor of its B A."""
    state, metadata = Loader.lora_state_dict(str(file), return_lora_metadata=True)
    transformer = model()
    Loader.load_lora_into_transformer(state, transformer, adapter_name="x", metadata=metadata)
    raw = load_file(file)
    result = {}
    for name in MODULES:
        layer = transformer.get_submodule(name)
        delta = layer.get_delta_weight("x").double()
        flat = name.replace(".", "_")
        a, b = None, None
        for key, value in raw.items():
            key = key.replace(".", "_")
            if f"{flat}_lora" in key and value.ndim == 2:
                if "_A_" in key or "_down_" in key:
                    a = value.double()
                else:
                    b = value.double()
        product = b @ a
        factor = (delta * product).sum() / (product * product).sum()
        assert torch.allclose(delta, factor * product, atol=1e-5), name
        result[name] = round(factor.item(), 5)
    return result


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, tensors, metadata in variants():
        file = folder / f"{name}.safetensors"
        save_file(tensors, file, metadata=metadata or {"format": "pt"})
        expected[name] = scales(file)
        print(name, expected[name])
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main(Path(sys.argv[1]))
