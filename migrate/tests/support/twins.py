"""Twins of transformers 4.57: classes for both frameworks, made from small random configurations.

Nothing is downloaded. All dropout is off, and text is whole numbers.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from typing import Any, NamedTuple

import numpy as np
import torch  # before TensorFlow

# isort: split
import tensorflow as tf
import tf_keras
import transformers

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {"vocab_size": 31, "max_position_embeddings": 24, "intermediate_size": 20}
ENCODER = {**SMALL, **TEXT, "type_vocab_size": 2}
D_MODEL = {
    "vocab_size": 31, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 20, "max_position_embeddings": 24, "pad_token_id": 1, "bos_token_id": 0,
    "eos_token_id": 2,
}  # fmt: skip
IMAGE = {**SMALL, "image_size": 8, "patch_size": 4, "num_channels": 3, "intermediate_size": 20}
STAGES = {"num_channels": 3, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]}


class Twin(NamedTuple):
    """A class and its configuration. ``kind`` is that of the input: text, both, or image."""

    name: str
    config: str
    options: dict[str, Any]
    kind: str = "text"


TWINS = [
    Twin("BertModel", "BertConfig", ENCODER),
    Twin("RobertaModel", "RobertaConfig", ENCODER),
    Twin("CamembertModel", "CamembertConfig", ENCODER),
    Twin("XLMRobertaModel", "XLMRobertaConfig", ENCODER),
    Twin("RobertaPreLayerNormModel", "RobertaPreLayerNormConfig", ENCODER),
    Twin("ElectraModel", "ElectraConfig", {**ENCODER, "embedding_size": 16}),
    Twin("AlbertModel", "AlbertConfig", {**ENCODER, "embedding_size": 8}),
    Twin("DistilBertModel", "DistilBertConfig",
         {"vocab_size": 31, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 20,
          "max_position_embeddings": 24}),
    Twin("MPNetModel", "MPNetConfig", ENCODER),
    Twin("LayoutLMModel", "LayoutLMConfig", ENCODER),
    Twin("RemBertModel", "RemBertConfig", {**ENCODER, "input_embedding_size": 8}),
    Twin("RoFormerModel", "RoFormerConfig", {**ENCODER, "embedding_size": 16}),
    Twin("ConvBertModel", "ConvBertConfig",
         {**ENCODER, "embedding_size": 16, "num_attention_heads": 4, "conv_kernel_size": 3}),
    Twin("MobileBertModel", "MobileBertConfig",
         {**ENCODER, "embedding_size": 16, "intra_bottleneck_size": 8,
          "num_feedforward_networks": 2}),
    Twin("DebertaModel", "DebertaConfig", {**ENCODER, "type_vocab_size": 0}),
    Twin("DebertaV2Model", "DebertaV2Config", {**ENCODER, "type_vocab_size": 0}),
    Twin("EsmModel", "EsmConfig", {**ENCODER, "pad_token_id": 1, "mask_token_id": 4}),
    Twin("XLMModel", "XLMConfig", {"vocab_size": 31, "emb_dim": 16, "n_layers": 2, "n_heads": 2,
         "max_position_embeddings": 24}),
    Twin("FlaubertModel", "FlaubertConfig", {"vocab_size": 31, "emb_dim": 16, "n_layers": 2,
         "n_heads": 2, "max_position_embeddings": 24}),
    Twin("XLNetModel", "XLNetConfig",
         {"vocab_size": 31, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 20}),
    Twin("FunnelBaseModel", "FunnelConfig",
         {"vocab_size": 31, "block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8,
          "d_inner": 20}),
    Twin("GPT2Model", "GPT2Config",
         {"vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2}),
    Twin("OpenAIGPTModel", "OpenAIGPTConfig",
         {"vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2}),
    Twin("CTRLModel", "CTRLConfig",
         {"vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2, "dff": 20}),
    Twin("GPTJModel", "GPTJConfig",
         {"vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2,
          "rotary_dim": 4}),
    Twin("OPTModel", "OPTConfig",
         {**SMALL, "vocab_size": 31, "ffn_dim": 20, "max_position_embeddings": 24,
          "word_embed_proj_dim": 16}),
    Twin("XGLMModel", "XGLMConfig",
         {"vocab_size": 31, "d_model": 16, "num_layers": 2, "attention_heads": 2, "ffn_dim": 20,
          "max_position_embeddings": 24}),
    Twin("MistralModel", "MistralConfig", {**SMALL, **TEXT, "num_key_value_heads": 2}),
    Twin("T5EncoderModel", "T5Config", {"vocab_size": 31, "d_model": 16, "d_kv": 8, "d_ff": 20,
         "num_layers": 2, "num_heads": 2}),
    Twin("T5Model", "T5Config", {"vocab_size": 31, "d_model": 16, "d_kv": 8, "d_ff": 20,
         "num_layers": 2, "num_heads": 2}, "both"),
    Twin("BartModel", "BartConfig", D_MODEL, "both"),
    Twin("MBartModel", "MBartConfig", D_MODEL, "both"),
    Twin("PegasusModel", "PegasusConfig", D_MODEL, "both"),
    Twin("MarianModel", "MarianConfig", {**D_MODEL, "decoder_start_token_id": 0}, "both"),
    Twin("BlenderbotModel", "BlenderbotConfig", D_MODEL, "both"),
    Twin("BlenderbotSmallModel", "BlenderbotSmallConfig", D_MODEL, "both"),
    Twin("CLIPTextModel", "CLIPTextConfig", {**SMALL, **TEXT, "eos_token_id": 2}),
    Twin("CLIPVisionModel", "CLIPVisionConfig", IMAGE, "image"),
    Twin("ViTModel", "ViTConfig", IMAGE, "image"),
    Twin("DeiTModel", "DeiTConfig", IMAGE, "image"),
    Twin("Data2VecVisionModel", "Data2VecVisionConfig", IMAGE, "image"),
    Twin("ConvNextModel", "ConvNextConfig", {**STAGES, "image_size": 32}, "image"),
    Twin("ConvNextV2Model", "ConvNextV2Config", {**STAGES, "image_size": 32}, "image"),
    Twin("ResNetModel", "ResNetConfig", {**STAGES, "embedding_size": 8, "layer_type": "basic"},
         "image"),
    Twin("RegNetModel", "RegNetConfig", {**STAGES, "embedding_size": 8, "groups_width": 4},
         "image"),
    Twin("SwinModel", "SwinConfig", {"image_size": 16, "patch_size": 2, "num_channels": 3,
         "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2}, "image"),
]  # fmt: skip


def configuration(twin: Twin) -> Any:
    """The small configuration, with every rate of dropout 0."""
    config = getattr(transformers, twin.config)(**twin.options)
    for name, value in vars(config).items():
        is_rate = "drop" in name or name.endswith("_prob")
        if is_rate and isinstance(value, float):
            setattr(config, name, 0.0)
    config.use_cache = False
    return config


class InPytorch(torch.nn.Module):
    """The model of PyTorch, which returns its last hidden state."""

    def __init__(self, twin: Twin) -> None:
        super().__init__()
        self.inner = getattr(transformers, twin.name)(configuration(twin))
        self.kind = twin.kind

    def forward(self, x: Any) -> Any:
        """The last hidden state of the batch."""
        return self.inner(**named(self.kind, x)).last_hidden_state


class InKeras(tf_keras.Model):
    """The model of TensorFlow, which returns the same."""

    def __init__(self, twin: Twin) -> None:
        super().__init__()
        self.inner = getattr(transformers, f"TF{twin.name}")(configuration(twin))
        self.kind = twin.kind

    def call(self, x: Any, training: bool = False) -> Any:
        """The last hidden state of the batch."""
        return self.inner(**named(self.kind, x), training=training).last_hidden_state


def named(kind: str, x: Any) -> dict[str, Any]:
    """The batch under the names that the models of a kind give to it."""
    if kind == "image":
        return {"pixel_values": x}
    if kind == "both":
        return {"input_ids": x, "decoder_input_ids": x}
    return {"input_ids": x}


def values(twin: Twin) -> dict[str, Any]:
    """The names and values of a file of ``samestep pair``."""
    random = np.random.default_rng(0)
    if twin.kind == "image":
        size = getattr(configuration(twin), "image_size", 32)
        x = random.standard_normal((3, 3, size, size)).astype("float32")
    else:
        x = random.integers(5, 31, (3, 7))

    def batch() -> Any:
        given = x, np.zeros(1, np.float32)
        return {"pytorch": given, "keras": given}

    return {
        "torch_model": lambda: InPytorch(twin),
        "keras_model": lambda: InKeras(twin),
        "batch": batch,
        "loss": (lambda y, t: weighted_mean(y, torch), lambda t, y: weighted_mean(y, tf)),
        "optimizers": ("pytorch:Adam(lr=0.001)",) * 2,
    }


def weighted_mean(y: Any, framework: Any) -> Any:
    """The mean of all elements with unequal weights, so that no gradient cancels by itself."""
    count = int(np.prod(y.shape))
    weights = np.sin(np.arange(count)).reshape(tuple(y.shape))
    if framework is torch:
        return (y * torch.from_numpy(weights).to(y.dtype)).mean()
    return tf.reduce_mean(y * tf.constant(weights, y.dtype))
