"""What one image costs a network: multiply-accumulates and weights."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_work(model, image):
    """(multiply-accumulates, weights) of `image` (1, C, H, W), batch norms folded into weights and biases.

    The multiply-accumulates are those of convolutions, linear layers and attention's two
    products; a folded layer has a bias.
    """
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(image)
    weights = 0
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            weights += layer.weight.numel() + layer.weight.shape[0]
        elif isinstance(layer, nn.LayerNorm):
            weights += layer.weight.numel() + layer.bias.numel()
    # The counter takes a multiply-accumulate for two operations.
    return counter.get_total_flops() // 2, weights
