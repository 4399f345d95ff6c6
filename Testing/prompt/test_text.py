"""The prompt's words and their number of CLIP tokens, counted with the real CLIP vocabulary."""

import gzip
import importlib.util
import itertools
import random
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

from MRIDenoiseLib.prompt import describe, vocabulary
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

MARKS = 2  # the begin and end tokens


@pytest.fixture(scope="module")
def clip_files() -> dict[str, Path]:
    """The files of the PyPI package that ships CLIP's byte-pair vocabulary (its code needs torchvision, its files do not)."""
    try:
        shipped = files("openai-clip") or []
    except PackageNotFoundError:
        pytest.skip("the CLIP vocabulary is not here: install openai-clip (extra `test`)")
    return {path.name: Path(str(path.locate())) for path in shipped}


@pytest.fixture(scope="module")
def clip_tokenizer(clip_files, tmp_path_factory):
    """transformers' tokenizer on CLIP's vocabulary: 256 bytes, the same ending a word, 48,894 merges, two marks = 49,408."""
    transformers = pytest.importorskip("transformers")
    lines = gzip.decompress(clip_files["bpe_simple_vocab_16e6.txt.gz"].read_bytes()).decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    tokens = [*letters, *(c + "</w>" for c in letters), *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(vocab={token: index for index, token in enumerate(tokens)}, merges=merges)


FIELDS = ("vendor", "organ", "contrast", "fat", "plane", "acceleration")


def acquisition(vendor=None, organ=None, contrast=None, fat=None, plane=None, acceleration=None) -> Acquisition:
    values = {
        "vendor": vendor,
        "organ": organ,
        "contrast": contrast,
        "fat_suppression": fat,
        "plane": plane,
        "acceleration": acceleration,
    }
    return Acquisition(**{name: AcquisitionField(value) for name, value in values.items()})


TABLES = (vocabulary.VENDORS, vocabulary.ORGANS, vocabulary.CONTRASTS, vocabulary.FAT_SUPPRESSION, vocabulary.PLANES, (1.5, 2.0, 3.0))


def each_value_of_each_field() -> list[list[Acquisition]]:
    """For each field, acquisitions that tell nothing else."""
    return [[acquisition(**{name: value}) for value in (*table, None)] for name, table in zip(FIELDS, TABLES, strict=True)]


def test_the_tokenizer_used_for_counting_is_clips_own(clip_files, clip_tokenizer) -> None:
    pytest.importorskip("ftfy")
    spec = importlib.util.spec_from_file_location("simple_tokenizer", clip_files["simple_tokenizer.py"])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    original = module.SimpleTokenizer()
    for text in ("a photo of a cat", "siemens cervical spine t2 flair fs sag 1.5x", "T2-FLAIR, thoracic spine: 3x!", *vocabulary.WORDS):
        assert clip_tokenizer(text)["input_ids"][1:-1] == original.encode(text), text


def test_every_compact_prompt_fits_14_tokens_between_the_marks(clip_tokenizer) -> None:
    # CLIP splits at spaces first, so that a prompt has the tokens of its parts: the longest of each field make the longest prompt
    def length(each: Acquisition) -> int:
        return len(clip_tokenizer(describe(each))["input_ids"]) - MARKS

    longest = {}
    for name, table in zip(FIELDS, TABLES, strict=True):
        longest[name] = max((*table, None), key=lambda value, name=name: length(acquisition(**{name: value})))
    assert length(acquisition(**longest)) == 14
    rng = random.Random(0)
    for _ in range(300):
        assert length(acquisition(*(rng.choice([*table, None]) for table in TABLES))) <= 14


def test_every_paper_prompt_fits_32_tokens_but_not_16(clip_tokenizer) -> None:
    lengths = [
        len(clip_tokenizer(describe(acquisition(v, o, c, f, "axial", r), "paper"))["input_ids"])
        for v in vocabulary.VENDORS
        for o in vocabulary.ORGANS
        for c in ("T1w", "T2-FLAIR", "T2*w", "localizer")
        for f, r in (("none", 2.0), ("STIR", 1.5))
    ]
    assert min(lengths) > 16
    assert max(lengths) <= 32


def test_at_16_tokens_the_papers_sentence_loses_contrast_and_acceleration_and_at_32_it_keeps_them(clip_tokenizer) -> None:
    def ids(contrast: str, ratio: float, length: int) -> list[int]:
        text = describe(acquisition("Siemens", "thoracic spine", contrast, "none", "axial", ratio), "paper")
        return clip_tokenizer(text, truncation=True, max_length=length)["input_ids"]

    assert ids("T1w", 1.5, 16) == ids("T2-FLAIR", 3.0, 16)
    assert ids("T1w", 1.5, 32) != ids("T1w", 3.0, 32) != ids("T2-FLAIR", 3.0, 32)


def test_the_papers_sentence_has_15_fixed_tokens_with_the_marks(clip_tokenizer) -> None:
    text = describe(acquisition("GE", "knee", "T2w", None, None, 2.0), "paper")
    variable = sum(len(clip_tokenizer(part)["input_ids"]) - MARKS for part in ("GE", "knee", "T2w 2x"))
    assert len(clip_tokenizer(text)["input_ids"]) - variable == 15


def test_compact_prompts_hold_only_words_of_the_vocabulary_and_every_word_can_occur() -> None:
    words = {word for field in each_value_of_each_field() for each in field for word in describe(each).split()}
    assert words == set(vocabulary.WORDS)
    assert len(vocabulary.WORDS) == len(set(vocabulary.WORDS)) <= 120
    assert all(word == word.lower() and " " not in word for word in vocabulary.WORDS)


def test_the_seen_values_give_prompts_that_all_differ() -> None:
    def seen(table):
        return [value for value, term in table.items() if term.seen]

    choices = list(
        itertools.product(
            seen(vocabulary.VENDORS), seen(vocabulary.ORGANS), seen(vocabulary.CONTRASTS), seen(vocabulary.FAT_SUPPRESSION),
            seen(vocabulary.PLANES), (1.5, 2.0, 3.0),
        )
    )  # fmt: skip
    assert len({describe(acquisition(*choice)) for choice in choices}) == len(choices)


def test_a_full_acquisition_reads_in_the_order_of_the_template() -> None:
    full = acquisition("Siemens", "cervical spine", "T2-FLAIR", "fat-saturated", "sagittal", 2.0)
    assert describe(full) == "siemens cervical spine t2 flair fs sag 2x"
    assert describe(acquisition()) == "unknown unknown unknown unknown unknown unknown"


@pytest.mark.parametrize("template", ["compact", "paper"])
def test_words_from_outside_the_vocabulary_never_reach_a_prompt(template) -> None:
    text = describe(acquisition("Jane Doe", "left knee of Jane", "secret", "x", "y", 2.0), template)
    assert not {"jane", "doe", "secret", "left"} & set(text.lower().split())


@pytest.mark.parametrize(
    ("ratio", "word"), [(1.0, "1.5x"), (1.5, "1.5x"), (1.73, "1.5x"), (1.74, "2x"), (2.44, "2x"), (2.45, "3x"), (3.0, "3x"), (8.0, "3x")]
)
def test_acceleration_groups_meet_at_the_square_roots_of_3_and_6(ratio: float, word: str) -> None:
    assert vocabulary.acceleration_word(ratio) == word


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("FLAIR", "T2-FLAIR"),
        ("t1 flair", "T1-FLAIR"),
        ("t2w", "T2w"),
        ("T2*", "T2*w"),
        ("pd", "PDw"),
        ("Diffusion", "DWI"),
        ("nonsense", None),
    ],
)
def test_contrasts_are_understood_in_their_common_spellings(said: str, value: str | None) -> None:
    assert vocabulary.canonical(said, vocabulary.CONTRASTS) == value
