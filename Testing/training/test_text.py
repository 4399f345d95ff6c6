"""The text encoder while networks are trained: what of it learns, what is remembered, what is left behind."""

from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from training_cases import PROMPTS, QuickBatches, tiny_networks

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.models.bundle.prompts import encode_prompt
from MRIDenoiseLib.models.text_encoder import add_lora
from MRIDenoiseLib.training.text import Conditioner


def batch_of(*prompts: str) -> Batch:
    return replace(QuickBatches().batch(0, len(prompts)), prompts=list(prompts))


def conditioner(training, encoder=None) -> Conditioner:
    networks = tiny_networks()
    return Conditioner(networks.tokenizer, encoder or networks.text_encoder, training, lora_rank=2)


@pytest.mark.parametrize("training", ["whole", "frozen", "lora"])
def test_a_batch_is_told_what_inference_would_tell(training):
    networks = tiny_networks()
    told = conditioner(training)(batch_of(PROMPTS[1], PROMPTS[0], PROMPTS[1]))
    for row, prompt in enumerate((PROMPTS[1], PROMPTS[0], PROMPTS[1])):
        embedding, mask = encode_prompt(networks.tokenizer, networks.text_encoder, prompt)
        assert torch.equal(told.text_mask[row], mask)
        assert torch.allclose(told.text[row][mask], embedding[mask], atol=1e-5)
    assert told.acceleration.tolist() == [2.0] * 3


def test_the_noise_level_is_what_the_noise_estimator_says_of_the_centre_slice_and_it_does_not_learn_here():
    networks = tiny_networks()
    batch = batch_of(*PROMPTS[:2])
    told = Conditioner(networks.tokenizer, networks.text_encoder, "whole", noise_estimator=networks["noise_estimator"])
    with torch.no_grad():
        expected = networks["noise_estimator"](batch.measured[:, 1:2], batch.body)
    assert torch.allclose(told(batch).noise_level, expected) and not torch.allclose(expected, batch.noise_level)
    assert not any(parameter.requires_grad for parameter in networks["noise_estimator"].parameters())


def test_whole_lora_and_frozen_train_everything_the_adapter_alone_and_nothing():
    def learning(training) -> set[str]:
        return {name for name, parameter in conditioner(training).named_parameters() if parameter.requires_grad}

    assert learning("frozen") == set()
    assert all("lora_" in name for name in learning("lora")) and len(learning("lora")) == 2 * 4, "A and B of q, k, v and out"
    assert learning("whole") == {name for name, _ in conditioner("whole").named_parameters()}


def test_an_adapter_that_came_with_the_text_encoder_is_merged_before_a_new_one_learns():
    adapted = add_lora(tiny_networks().text_encoder, rank=4)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tokens = {"input_ids": torch.tensor([[1, 5, 6, 2]])}
    with torch.no_grad():
        expected = adapted(**tokens).last_hidden_state
        for training in ("whole", "lora", "frozen"):
            text = conditioner(training, adapted)
            assert torch.allclose(text.text_encoder(**tokens).last_hidden_state, expected, atol=1e-5)
            assert sum(parameter.requires_grad for parameter in text.parameters()) == {"whole": 20, "lora": 8, "frozen": 0}[training]
            adapted = text.merged()


def test_what_an_adapter_learned_stays_when_it_is_merged():
    text = conditioner("lora")
    for name, parameter in text.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tokens = {"input_ids": torch.tensor([[1, 5, 6, 2]])}
    with torch.no_grad():
        learned = text.text_encoder(**tokens).last_hidden_state
        plain = text.merged()
        assert not isinstance(plain, PeftModel)
        assert torch.allclose(plain(**tokens).last_hidden_state, learned, atol=1e-5)
        assert not torch.allclose(tiny_networks().text_encoder(**tokens).last_hidden_state, learned, atol=1e-2)


def test_a_frozen_encoder_says_the_same_whenever_a_prompt_is_met_and_in_full_precision():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        alone = conditioner("frozen")(batch_of(PROMPTS[0]))
        among = conditioner("frozen")(batch_of(PROMPTS[2], PROMPTS[0], PROMPTS[1]))
    exact = conditioner("frozen")(batch_of(PROMPTS[0]))
    assert torch.equal(alone.text[0], among.text[1]) and torch.equal(alone.text[0], exact.text[0])


def test_a_frozen_encoder_is_asked_once_a_prompt():
    text = conditioner("frozen")
    calls = []
    text.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(3):
        text(batch_of(*PROMPTS, *PROMPTS))
    assert len(calls) == len(PROMPTS)
