"""A network as an ONNX file."""

import os

import onnx
import torch


def export(model, image, path):
    """Write `model`, in eval mode, as one ONNX file for inputs like `image`, whole or not at all.

    The TorchScript exporter folds the batch norms and embeds the weights at opset 17;
    PyTorch's newer one starts at opset 18.
    """
    partial = path.with_suffix(".partial")
    torch.onnx.export(
        model,
        (image,),
        partial,
        input_names=["image"],
        output_names=["logits"],
        opset_version=17,
        dynamo=False,
    )
    onnx.checker.check_model(str(partial), full_check=True)
    os.replace(partial, path)
