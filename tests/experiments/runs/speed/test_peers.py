"""The adapters do the work that they are timed for, one whole piece a call."""

import copy

import torch

from codeclab.experiments.runs.speed import peers

TINY = {
    "recipe": "encodec_24khz",
    "batch": 2,
    "seconds": 0.2,
    **{"model.encoder.n_filters": 2, "model.decoder.n_filters": 2, "model.adversarial_start": 0},
    "model.discriminator_probability": 1.0,
    "trainer.precision": "32-true",
}


def test_each_call_is_a_whole_step_on_the_next_batch_whose_parts_can_be_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    adapter = peers.step(TINY)
    assert adapter.audio_seconds == 0.4
    model = adapter._strategy.lightning_module
    seen, states = [], [copy.deepcopy(dict(model.named_parameters()))]
    step = model.training_step
    monkeypatch.setattr(
        model, "training_step", lambda batch, number: seen.append(batch["batch"]) or step(batch, number)
    )
    for _ in range(2):
        adapter.phases["step"]()
        states.append(copy.deepcopy(dict(model.named_parameters())))
    assert seen == [1, 2]
    for before, after in zip(states, states[1:], strict=False):
        moved = [name for name, old in before.items() if not torch.equal(old, after[name])]
        for player in ("codec.encoder.", "codec.decoder.", "discriminators."):
            assert any(name.startswith(player) for name in moved), player
    parts = adapter.take_parts()
    assert min(parts[part] for part in ("data", "codec forward", "losses", "backward", "optimizers")) > 0
    assert adapter.take_parts() == {}
    assert not list(tmp_path.iterdir())
