"""Help comes at once, and a large volume does not take several times its size in memory."""

import pytest

from MRIDenoiseLib.evaluation.speed.latency import command_seconds, program_seconds, streamed_memory

SMALLEST_PROGRAM = """
import typer
app = typer.Typer(rich_markup_mode="rich")
app.callback()(lambda: None)
@app.command()
def one(number: int = 0) -> None: "Do something."
app({arguments!r}, standalone_mode=False)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["denoise", "--help"]], ids=" ".join)
def test_help_takes_little_longer_than_that_of_the_smallest_program_with_the_same_libraries(arguments):
    smallest = SMALLEST_PROGRAM.format(arguments=["one", "--help"] if arguments[1:] else ["--help"])
    # The best of some, in the processor's time: a busy machine only ever adds.
    ours = min(command_seconds(arguments, 1).processor for _ in range(4))
    theirs = min(program_seconds(smallest, 1).processor for _ in range(4))
    assert ours < 1.8 * theirs, "numpy alone would go beyond"


@pytest.mark.slow
def test_denoising_needs_little_more_memory_than_its_result():
    streamed = streamed_memory(slices=200, size=256)
    assert streamed.volume == 50
    assert 0.9 < streamed.copies < 1.6, "the result, and a mask, a slice's networks and the allocator's reserve beside it"
