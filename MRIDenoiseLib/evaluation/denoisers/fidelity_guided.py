"""The paper's method to the letter, and the same held to what helps: fidelity-guided inference in its two modes."""

from __future__ import annotations

from MRIDenoiseLib.evaluation.denoisers.contender import Method
from MRIDenoiseLib.evaluation.denoisers.networks import ALL, TRAINED, user_method

WEIGHTS = (0.05, 0.0, 0.01, 0.02, 0.1, 0.15, 0.25, 0.5)
"""Of the likelihood, the customary one first."""

PAPER = Method(
    name="paper",
    title="The paper's method",
    group="paper",
    source="Shao, Huang, Zhang et al. 2026, equations 7 to 9, with RED-diff's Adam and weights where the text says none; here",
    run=user_method("fidelity-guided", mode="paper", steps=ALL),
    trained=TRAINED,
)
TUNED = Method(
    name="tuned",
    title="Fidelity-guided, tuned",
    group="ours",
    source="the same with a step that cannot diverge and a weak likelihood; here",
    run=user_method("fidelity-guided", mode="tuned", steps=10),
    settings=tuple({"fidelity": weight} for weight in WEIGHTS),
    trained=TRAINED,
)
