"""The key that links blinded ids to patients and arms. Reading mode never opens it, and cannot: it does not import this module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.atomic import write_json

KEY = "key.json"


@dataclass(frozen=True)
class Image:
    """What a blinded volume is.

    Args:
        subject: the patient's code.
        group: see :class:`.configuration.Case`.
        arm: which version of the case.
        factor: stored value / value of the source; the same for all arms of a case unless their brightness was matched.
    """

    subject: str
    group: str
    arm: str
    factor: float


@dataclass(frozen=True)
class Key:
    """The key of one study.

    Args:
        study: the study's random id, which its reading folder bears too.
        volumes: what each blinded volume is.
    """

    study: str
    volumes: Mapping[str, Image]

    def cases(self) -> dict[tuple[str, str], dict[str, str]]:
        """For every (subject, group) the blinded id of each arm."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for volume, image in self.volumes.items():
            found.setdefault((image.subject, image.group), {})[image.arm] = volume
        return found


def write_key(folder: Path, key: Key) -> None:
    """Write the key into its folder.

    Raises:
        OutputError: there is one, or it cannot be written.
    """
    write_json(folder / KEY, asdict(key))


def read_key(folder: Path) -> Key:
    """The key of a study.

    Args:
        folder: the one that holds the key, not the study's.

    Raises:
        InputError: it is not there, or damaged.
    """
    path = folder / KEY
    if not path.is_file():
        raise InputError(f"there is no key at {path}; only the study's own folder with its key can lift the blinding")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Key(found["study"], {volume: Image(**image) for volume, image in found["volumes"].items()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged; take it from a backup") from error
