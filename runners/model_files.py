"""Model folders: a config.json of the true shape is all that dummy weights need, but for SGLang,
which cannot answer without a tokenizer."""

import json
from pathlib import Path

from runners.errors import UnsupportedCell
from schema.cells import Engine, Family, Precision
from schema.models import Model, Weights

MIXTRAL, LLAMA = "MixtralForCausalLM", "LlamaForCausalLM"


def model_folder(family: Family, folder: Path) -> Path:
    """The folder to serve from.

    Real weights: the checkpoint's own folder, named by the model. Dummy weights: a folder under
    `folder` with a config.json written from the shape. Raises UnsupportedCell when a checkpoint
    is not on this host.
    """
    if family.model.weights is Weights.REAL:
        checkpoint = Path(family.model.name)
        if not (checkpoint / "config.json").is_file():
            raise UnsupportedCell(
                f"{family.model.name} has real weights but no config.json at "
                f"{checkpoint.resolve()}; put the checkpoint there, or say `weights: dummy`"
            )
        return checkpoint.resolve()  # containers mount absolute paths only
    place = folder / family.key
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(hugging_face_config(family), indent=1))
    if family.engine is Engine.SGLANG:  # vLLM serves token ids without one
        for name, content in tokenizer_files(family.model.vocabulary).items():
            (place / name).write_text(json.dumps(content))
    return place


def tokenizer_files(vocabulary: int) -> dict[str, object]:
    """A made-up tokenizer: every token id has a text of its own, `t17`, so none is swallowed."""
    words = {f"t{number}": number for number in range(vocabulary)}
    return {
        "tokenizer.json": {
            "version": "1.0",
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": None,
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": words, "unk_token": "t0"},
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
        },
    }


def hugging_face_config(family: Family) -> dict[str, object]:
    """config.json of a Llama or Mixtral of this shape, as `transformers` reads it."""
    model = family.model
    config: dict[str, object] = {
        "architectures": [MIXTRAL if model.is_moe else LLAMA],
        "model_type": "mixtral" if model.is_moe else "llama",
        "torch_dtype": "bfloat16",
        "vocab_size": model.vocabulary,
        "hidden_size": model.hidden,
        "intermediate_size": model.intermediate,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "max_position_embeddings": model.max_position,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": model.rope_theta,
        "tie_word_embeddings": model.tied_embeddings,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return config | _experts(model) | _quantisation(family)


def _experts(model: Model) -> dict[str, object]:
    if not model.is_moe:
        return {}
    return {
        "num_local_experts": model.experts,
        "num_experts_per_tok": model.active_experts,
        "sliding_window": None,
        "router_aux_loss_coef": 0.02,
        "output_router_logits": False,
    }


def _quantisation(family: Family) -> dict[str, object]:
    """FP8 is named in the config so that the weights never exist in bf16 (no memory peak)."""
    if family.precision is not Precision.FP8:
        return {}
    return {"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}}
