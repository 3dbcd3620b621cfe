"""Presets of KerasHub for notebooks: networks of the same kinds, small and with random weights.

The library with which a notebook is run builds and saves a preset when KerasHub requests it.
"""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

TURNS = ("<start_of_image>", "<end_of_image>", "<start_of_turn>", "<end_of_turn>", "<img>")


def download(handle: str, path: str) -> str:
    """`kagglehub.model_download` of one file of `keras/<family>/keras/<preset>/<version>`."""
    import keras

    preset = handle.split("/")[3]
    folder = pathlib.Path.cwd() / "presets" / preset
    if not folder.exists():
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")  # whatever the notebook has chosen
        BUILDERS[preset]().save_to_preset(str(folder))
        keras.config.set_dtype_policy(policy)
    if not (folder / path).exists():
        raise ValueError(f"{path} is not present in the model files")
    return str(folder / path)


def pieces(words: Iterable[str], symbols: Iterable[str]) -> bytes:
    """A model of SentencePiece whose pieces are whole words."""
    import sentencepiece

    words, symbols, model = list(words), list(symbols), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_writer=model,
        model_type="word",
        vocab_size=len(words) + len(symbols) + 4,
        hard_vocab_limit=False,
        user_defined_symbols=list(symbols),
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        bos_piece="<bos>",
        eos_piece="<eos>",
        minloglevel=2,
    )
    return model.getvalue()


def gemma(has_vision: bool) -> Any:
    from keras_hub import layers, models
    from stand_ins import WORDS

    tokenizer = models.Gemma3Tokenizer(
        pieces(sorted({*WORDS}), TURNS if has_vision else ()), has_vision
    )
    vision_sizes = {
        "image_size": 16,
        "patch_size": 4,
        "pool_size": 2,
        "num_layers": 1,
        "num_heads": 2,
    }
    sizes = {"hidden_dim": 8, "intermediate_dim": 16}
    vision = (
        models.Gemma3VisionEncoder(**vision_sizes, **sizes, output_dim=8) if has_vision else None
    )
    backbone = models.Gemma3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        image_size=16,
        num_layers=2,
        num_query_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        vision_encoder=vision,
        **sizes,
    )
    preprocessor = models.Gemma3CausalLMPreprocessor(
        tokenizer,
        layers.Gemma3ImageConverter(image_size=(16, 16)) if has_vision else None,
        max_images_per_prompt=2 if has_vision else 0,
        num_vision_tokens_per_image=4 if has_vision else 0,
    )
    return models.Gemma3CausalLM(backbone=backbone, preprocessor=preprocessor)


def stable_diffusion() -> Any:
    from keras_hub import models
    from keras_hub.src.models.clip.clip_text_encoder import CLIPTextEncoder
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    words = [*"abcdefghijklmnopqrstuvwxyz"]
    words += [f"{letter}</w>" for letter in words] + ["ai", "pl", "<|startoftext|>"]
    vocabulary = {word: i for i, word in enumerate([*words, "<|endoftext|>"])}

    def reader(**options: Any) -> Any:
        return models.CLIPPreprocessor(models.CLIPTokenizer(vocabulary, ["a i", "p l"], **options))

    def encoder(name: str, width: int, activation: str) -> Any:
        sizes = (len(vocabulary), width, width, 2, 2, 2 * width, activation, -2)
        return CLIPTextEncoder(*sizes, name=name)

    backbone = models.StableDiffusion3Backbone(
        mmdit_patch_size=2,
        mmdit_hidden_dim=32,
        mmdit_num_layers=2,
        mmdit_num_heads=2,
        mmdit_position_size=192,
        mmdit_qk_norm=None,
        mmdit_dual_attention_indices=None,
        vae=VAEBackbone([32] * 4, [1] * 4, [32] * 4, [1] * 4, sampler_method="mode", name="vae"),
        clip_l=encoder("clip_l", 64, "quick_gelu"),
        clip_g=encoder("clip_g", 128, "gelu"),
        image_shape=(64, 64, 3),
    )
    preprocessor = models.StableDiffusion3TextToImagePreprocessor(
        reader(pad_with_end_token=True), reader()
    )
    return models.StableDiffusion3TextToImage(backbone=backbone, preprocessor=preprocessor)


def segment_anything() -> Any:
    from keras_hub import layers, models
    from keras_hub.src.models.vit_det.vit_det_backbone import ViTDetBackbone

    side = 1024
    backbone = models.SAMBackbone(
        image_encoder=ViTDetBackbone(
            hidden_size=16,
            num_layers=2,
            intermediate_dim=32,
            num_heads=2,
            global_attention_layer_indices=[],
            num_output_channels=32,
            image_shape=(side, side, 3),
        ),
        prompt_encoder=layers.SAMPromptEncoder(
            hidden_size=32,
            image_embedding_size=(side // 16, side // 16),
            input_image_size=(side, side),
            mask_in_channels=16,
        ),
        mask_decoder=layers.SAMMaskDecoder(
            num_layers=2,
            hidden_size=32,
            intermediate_dim=32,
            num_heads=2,
            embedding_dim=32,
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=8,
        ),
    )
    converter = layers.SAMImageConverter(image_size=(side, side), scale=1 / 255)
    preprocessor = models.SAMImageSegmenterPreprocessor(converter)
    return models.SAMImageSegmenter(backbone=backbone, preprocessor=preprocessor)


def xception() -> Any:
    from keras_hub import layers, models

    middle = 8 * [[8, 8, 8]]
    backbone = models.XceptionBackbone(
        stackwise_conv_filters=[[4, 8], *3 * [[8, 8]], *middle, [8, 16], [16, 2048]],
        stackwise_pooling=[*4 * [True], *8 * [False], True, False],
    )
    converter = layers.XceptionImageConverter(image_size=(299, 299), scale=1 / 127.5, offset=-1)
    preprocessor = models.XceptionImageClassifierPreprocessor(converter)
    return models.XceptionImageClassifier(
        backbone=backbone, preprocessor=preprocessor, num_classes=1000
    )


def resnet() -> Any:
    """A network that makes an image 32 times smaller, as ResNet50 does."""
    from keras_hub import models

    return models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=(None, None, 3),
    )


def resnet_classifier() -> Any:
    from keras_hub import layers, models

    converter = layers.ResNetImageConverter(image_size=(224, 224), scale=1 / 127.5, offset=-1)
    preprocessor = models.ResNetImageClassifierPreprocessor(converter)
    return models.ResNetImageClassifier(
        backbone=resnet(), preprocessor=preprocessor, num_classes=1000
    )


def retinanet() -> Any:
    from keras_hub import layers, models
    from keras_hub.src.models.retinanet.retinanet_label_encoder import RetinaNetLabelEncoder

    form = "yxyx"
    anchors = layers.AnchorGenerator(form, 3, 5, 3, [0.5, 1.0, 2.0], 4)
    converter = layers.RetinaNetImageConverter(
        bounding_box_format=form, scale=1 / 255, image_size=(256, 256)
    )
    return models.RetinaNetObjectDetector(
        backbone=models.RetinaNetBackbone(
            image_encoder=resnet(), min_level=3, max_level=5, use_p5=False
        ),
        label_encoder=RetinaNetLabelEncoder(anchors, bounding_box_format=form),
        anchor_generator=anchors,
        num_classes=91,
        bounding_box_format=form,
        preprocessor=models.RetinaNetObjectDetectorPreprocessor(image_converter=converter),
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "gemma3_1b": lambda: gemma(has_vision=False),
    "gemma3_instruct_4b": lambda: gemma(has_vision=True),
    "stable_diffusion_3_medium": stable_diffusion,
    "sam_huge_sa1b": segment_anything,
    "xception_41_imagenet": xception,
    "resnet_50_imagenet": resnet_classifier,
    "retinanet_resnet50_fpn_v2_coco": retinanet,
}
