"""Which rows of a table may count: a reference with noise of its own rewards whoever leaves noise in the image."""

from __future__ import annotations

ALLOWED_SHARE = 1 / 3
"""Of the noise that was added: so much own noise a reference may have. Its square is a ninth of the error that is to be removed."""

WHY_APART = (
    "Shown apart, because the reference's own noise is more than a third of the noise that was added: such a reference rewards a method "
    "for leaving noise in the image."
)
"""What is said where rows do not count."""


def counts(own: float, added: float) -> bool:
    """Whether a row of a table counts.

    Args:
        own: standard deviation of the reference's own noise in the body.
        added: that of the noise that was added to it, in the same unit. Where it is no number nothing is known, and the row does not
            count.
    """
    return own <= ALLOWED_SHARE * added
