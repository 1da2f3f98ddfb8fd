"""Matrix products by either library are torch's."""

import pytest
import torch
import torch.nn.functional as F

from codeclab.quantizers import matrix_product
from codeclab.quantizers.matrix_product import linear


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("shape", [(5, 8), (2, 7, 8), (1, 0, 8)])
@pytest.mark.parametrize("biased", [True, False])
def test_products_are_those_of_linear(onednn, shape, biased, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(matrix_product, "_BY_ONEDNN", onednn and matrix_product._ONEDNN_LINEAR is not None)
    x, weight, bias = torch.randn(shape), torch.randn(6, 8), torch.randn(6) if biased else None
    for given in (x, x.transpose(0, -2), x.double(), x.bfloat16()):
        matrix, added = weight.to(given.dtype), None if bias is None else bias.to(given.dtype)
        exact = F.linear(given.double(), matrix.double(), None if added is None else added.double())
        product = linear(given, matrix, added)
        assert product.dtype == given.dtype
        tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 5e-2}[given.dtype]
        torch.testing.assert_close(product.double(), exact, rtol=tolerance, atol=tolerance)
    transposed = weight.mT.contiguous().mT
    torch.testing.assert_close(linear(x, transposed, bias), F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(matrix_product._ONEDNN_LINEAR is None, reason="this torch lacks the operator")
def test_the_operator_is_called_in_float32_alone(monkeypatch):
    calls = []

    def counted(x, *rest):
        calls.append(x.dtype)
        return torch.ops.mkldnn._linear_pointwise(x, *rest)

    monkeypatch.setattr(matrix_product, "_BY_ONEDNN", True)
    monkeypatch.setattr(matrix_product, "_ONEDNN_LINEAR", counted)
    x, weight = torch.randn(5, 8), torch.randn(6, 8)
    linear(x, weight)
    assert calls == [torch.float32]
    linear(x.double(), weight.double())
    linear(x[:0], weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
    assert calls == [torch.float32]
