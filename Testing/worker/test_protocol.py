"""Messages arrive as they were sent, and what is none is refused."""

import json

import pytest

from MRIDenoiseLib.worker import protocol
from MRIDenoiseLib.worker.protocol import (
    ProtocolError,
    SharedClass,
    SharedFact,
    SharedTissues,
    SharedVolume,
    decode_event,
    decode_request,
    encode,
)

VOLUME = SharedVolume(
    "1-noisy.npy",
    [[1.0, 0.0, 0.0, -3.5]] * 4,
    "int16",
    0,
    {"organ": SharedFact("head", "user", "high", True), "acceleration": SharedFact(2.0, "default", "low", True)},
)
REQUESTS = [
    protocol.Load(1, None, "auto"),
    protocol.Load(1, "/models/m\u00fcnchen", "cpu"),
    protocol.Denoise(2, None, "cpu", VOLUME, {"method": "regression", "slices": [1, 2], "fidelity": 0.1}, [[0, 2], [1, 3], [4, 9]]),
    protocol.Segment(3, ["noisy", "denoised"], [VOLUME, VOLUME], None, 3),
    protocol.Save(4, VOLUME, ["a.dcm"], "out", {"seed": 1}, "denoised", False),
    protocol.Cancel(4),
    protocol.Shutdown(),
]
EVENTS = [
    protocol.Hello(1, 77),
    protocol.Progress(1, 0.5, None, "Denoising"),
    protocol.Progress(1, 0.5, 3.25, "Denoising"),
    protocol.Loaded(1, "cpu", "ab"),
    protocol.Denoised(1, "1-denoised.npy", [[0, 2], [1, 3], [4, 9]], 31.5, {"warnings": ["one\nline"]}),
    protocol.Segmented(
        1, [SharedTissues("noisy", "l.npy", [SharedClass(1, "grey matter", [1, 2, 3], 4.5, 6.0)], [0.5, None])], True, "brain"
    ),
    protocol.Saved(1),
    protocol.Failed(None, "what", fault=True),
]


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: type(message).__name__)
def test_a_request_is_one_line_and_arrives_as_it_was_sent(message):
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_request(line) == message


@pytest.mark.parametrize("message", EVENTS, ids=lambda message: type(message).__name__)
def test_an_event_is_one_line_and_arrives_as_it_was_sent(message):
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_event(line) == message


def changed(**changes: object) -> bytes:
    content = json.loads(encode(protocol.Progress(1, 0.5, 3.25, "Denoising")))
    content |= changes
    return json.dumps({name: value for name, value in content.items() if value != "left out"}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"kind": "Cancel", "job": 1}',
        changed(kind="Rm"),
        changed(job="1"),
        changed(job=True),
        changed(fraction="half"),
        changed(fraction=None),
        changed(what="left out"),
        changed(more=1),
    ],
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(ProtocolError, match="start again"):
        decode_event(line)


def test_a_whole_number_will_do_for_a_fraction():
    assert decode_event(changed(fraction=1)) == protocol.Progress(1, 1.0, 3.25, "Denoising")
