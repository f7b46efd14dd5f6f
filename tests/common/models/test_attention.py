import torch
from torch import nn

from common.models.attention import Attention, FusionLayer

WIDTH, HEADS = 8, 2
PRESENT = torch.tensor([[True, True, False, True], [True, False, False, False], [True, True, True, True]])


def copy_into(reference: nn.MultiheadAttention, layer: Attention) -> None:
    with torch.no_grad():
        reference.in_proj_weight.copy_(
            torch.cat([part.weight for part in (layer.query, layer.key, layer.value)])
        )
        reference.in_proj_bias.copy_(torch.cat([part.bias for part in (layer.query, layer.key, layer.value)]))
        reference.out_proj.load_state_dict(layer.out.state_dict())


def test_equals_torch_multihead_attention() -> None:
    layer, reference = Attention(WIDTH, HEADS), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    copy_into(reference, layer)
    queries, keys = torch.randn(3, 2, WIDTH), torch.randn(3, 4, WIDTH)
    expected, _ = reference(queries, keys, keys, key_padding_mask=~PRESENT)
    torch.testing.assert_close(layer(queries, keys, PRESENT), expected, atol=1e-6, rtol=1e-5)


def test_fusion_equals_torch_encoder_layer() -> None:
    layer = FusionLayer(WIDTH, HEADS, rate=0.3).eval()
    reference = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 2 * WIDTH, 0.3, "gelu", batch_first=True, norm_first=True
    ).eval()
    copy_into(reference.self_attn, layer.attention)
    for theirs, ours in (
        (reference.linear1, layer.widen),
        (reference.linear2, layer.narrow),
        (reference.norm1, layer.before),
        (reference.norm2, layer.between),
    ):
        theirs.load_state_dict(ours.state_dict())
    tokens = torch.randn(3, 4, WIDTH)
    expected = reference(tokens, src_key_padding_mask=~PRESENT)
    torch.testing.assert_close(layer(tokens, PRESENT)[PRESENT], expected[PRESENT], atol=1e-5, rtol=1e-5)


def test_what_an_absent_key_holds_does_not_matter() -> None:
    layer = Attention(WIDTH, HEADS)
    queries, keys = torch.randn(3, 1, WIDTH), torch.randn(3, 4, WIDTH)
    other = torch.where(PRESENT[..., None], keys, 1e6 * torch.randn(3, 4, WIDTH))
    assert torch.equal(layer(queries, keys, PRESENT), layer(queries, other, PRESENT))


def test_an_absent_key_is_as_if_it_had_never_been() -> None:
    layer = Attention(WIDTH, HEADS)
    queries, keys = torch.randn(3, 1, WIDTH), torch.randn(3, 4, WIDTH)
    whole = layer(queries, keys, PRESENT)
    for patient, present in enumerate(PRESENT):
        one = slice(patient, patient + 1)
        alone = layer(
            queries[one], keys[one][:, present], torch.ones(1, int(present.sum()), dtype=torch.bool)
        )
        torch.testing.assert_close(whole[one], alone)


def test_an_absent_key_gets_no_gradient_and_the_others_a_finite_one() -> None:
    layer = FusionLayer(WIDTH, HEADS, rate=0.0)
    tokens = (100 * torch.randn(3, 4, WIDTH)).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(tokens, PRESENT)[:, 0].square().sum(), tokens)
    assert gradient.isfinite().all()
    assert not gradient[~PRESENT].any()
    assert gradient[PRESENT].any(-1).all()
