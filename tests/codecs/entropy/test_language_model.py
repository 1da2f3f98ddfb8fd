"""The language model against the released EnCodec's, and what it may see."""

import pytest
import torch

from codeclab.codecs.entropy.ecdc_files import language_model_tensors
from codeclab.codecs.entropy.language_model import LanguageModel, shifted


def released(golden):
    tensors, meta = golden("lm_small")
    config = meta["config"]
    model = LanguageModel(
        config["n_q"],
        config["card"],
        config["dim"],
        config["num_layers"],
        config["num_heads"],
        int(config["dim"] * config["hidden_scale"]),
        config["past_context"],
    )
    given = {name.removeprefix("param."): value for name, value in tensors.items() if name.startswith("param.")}
    model.load_state_dict(language_model_tensors(given))
    return model.eval(), tensors


def small():
    torch.manual_seed(0)
    return LanguageModel(n_codebooks=2, codebook_size=5, dimension=8, n_layers=2, n_heads=2, feedforward=16, context=4)


@torch.no_grad()
@pytest.mark.parametrize("pieces", [[24], [1] * 24, [7, 1, 16], [1, 23], [12, 12]])
def test_probabilities_and_states_are_the_released_ones(golden, pieces):
    model, tensors = released(golden)
    state, result = None, []
    for previous in shifted(tensors["input.codes"].long()).split(pieces, dim=2):
        probabilities, state = model.probabilities(previous, state)
        result.append(probabilities)
    together = torch.cat(result, dim=3)
    torch.testing.assert_close(together, tensors["output.probabilities"], rtol=0, atol=1e-5)
    torch.testing.assert_close(together, tensors["output.probabilities_one_call"], rtol=0, atol=1e-5)
    for layer, past in enumerate(state.past):
        expected = tensors[f"output.final_state.{layer}"]
        torch.testing.assert_close(past, expected, rtol=0, atol=1e-5 * expected.abs().max().item())
    assert state.position.tolist() == [24]


@torch.no_grad()
def test_a_time_step_sees_its_past_alone_and_no_further_than_the_context():
    model, codes = small(), torch.randint(5, (1, 2, 30))
    changed = codes.clone()
    changed[:, 1, 9] = (codes[:, 1, 9] + 1) % 5
    differs = (model(shifted(codes))[0] != model(shifted(changed))[0]).any(dim=(0, 1, 2)).nonzero()[:, 0]
    # The code of step 9 is the input of step 10; two layers see four steps back each.
    assert differs.tolist() == list(range(10, 19))


@torch.no_grad()
def test_items_have_positions_of_their_own():
    model, codes = small(), torch.randint(5, (2, 2, 6))
    both, state = model(shifted(codes), model.start(2, torch.tensor([0, 11])))
    assert state.position.tolist() == [6, 17]
    alone, _ = model(shifted(codes[1:]), model.start(1, 11))
    torch.testing.assert_close(both[1:], alone)
    assert (both[1:] - model(shifted(codes[1:]))[0]).abs().max() > 1e-3


def test_fewer_codebooks_use_the_first_tables_and_every_parameter_learns():
    model, codes = small(), torch.randint(5, (3, 2, 6))
    logits, _ = model(shifted(codes[:, :1]))
    assert logits.shape == (3, 5, 1, 6)
    logits, _ = model(shifted(codes))
    torch.nn.functional.cross_entropy(logits, codes).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_papers_model_is_the_default():
    model = LanguageModel(n_codebooks=1)
    assert len(model.layers) == 5
    assert model.layers[0].attention.num_heads == 8
    assert model.layers[0].expand.weight.shape == (800, 200)
    assert model.context == int(3.5 * 75)


def test_sizes_and_codes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of the 8 heads"):
        LanguageModel(dimension=20)
    with pytest.raises(ValueError, match="should be positive"):
        LanguageModel(context=0)
    with pytest.raises(ValueError, match=r"\[B, 1 to 2, T\]"):
        small()(torch.zeros(1, 3, 4, dtype=torch.int64))
    assert shifted(torch.tensor([[[3, 4, -1, 2]]])).tolist() == [[[0, 4, 5, 0]]]
