"""Modules on streams of a GPU, so that their operations run beside one another.

A branch of the shipped model is some hundred small operations, none of which fills a GPU.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn


def run_side_by_side(modules: Sequence[nn.Module]) -> None:
    """Run modules on streams of their own, but for the last, which then waits for the others.

    Autograd runs every operation backwards on the stream of its forward pass. What a module computes is the same.

    Args:
        modules: on the same GPU, always called in this order; no output is used before the last has been called.
    """
    *others, last = modules
    device = next(last.parameters()).device
    streams = [torch.cuda.Stream(device) for _ in others]
    for module, stream in zip(others, streams, strict=True):
        module.forward = partial(_aside, module.forward, stream)
    last.forward = partial(_joining, last.forward, streams)


def _aside(forward: Any, stream: torch.cuda.Stream, *inputs: Any) -> Any:
    stream.wait_stream(torch.cuda.current_stream(stream.device))
    with torch.cuda.stream(stream):
        return forward(*inputs)


def _joining(forward: Any, streams: Sequence[torch.cuda.Stream], *inputs: Any) -> Any:
    outputs = forward(*inputs)
    for stream in streams:
        torch.cuda.current_stream(stream.device).wait_stream(stream)
    return outputs
