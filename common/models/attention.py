"""Attention over a patient's modality tokens, with absent tokens masked out."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017): queries [B, Q, width], keys [B, K, width].

    `present` [B, K] bool marks the keys that exist; every patient must have one at least.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, present: Tensor) -> Tensor:
        """Return attended values [B, Q, width]."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, keys))
        )
        score = q @ k.transpose(-1, -2) / k.shape[-1] ** 0.5
        weight = score.masked_fill(~present[:, None, None, :], -torch.inf).softmax(-1)
        mixed: Tensor = self.out((weight @ v).transpose(1, 2).flatten(-2))
        return mixed


class FusionLayer(nn.Module):
    """Pre-norm transformer encoder layer (Xiong et al. 2020) on tokens [B, K, width]."""

    def __init__(self, width: int, heads: int, rate: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.rate = rate

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return tokens [B, K, width]; keys that are not `present` [B, K] are ignored."""
        normed = self.before(tokens)
        tokens = tokens + dropout(self.attention(normed, normed, present), self.rate, self.training)
        wide = gelu(self.widen(self.between(tokens)))
        return tokens + dropout(self.narrow(wide), self.rate, self.training)
