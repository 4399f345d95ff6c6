"""The sample volume that comes with the extension, where Slicer lists sample data."""

from pathlib import Path

from MRIDenoiseLib.card import ROOT

CATEGORY = "MRI Denoise"
NOISY, CLEAN = "Head T1w, twice as fast (simulated)", "Head T1w, as scanned"
FILES = {
    NOISY: ("head_T1w_noisy.nii.gz", "09b7a5fa48bf01b84b978d5eeb4bd92dff00e4eadb4495ef3278a6429a0b7acc"),
    CLEAN: ("head_T1w_clean.nii.gz", "53f8ae6e83e9ac0be0c4fda2c47088f0535a899877e41360a7c4569635d86fb5"),
}
"""Sample -> its file in ``Resources/SampleData`` and the SHA-256 of it."""


def registerSampleData() -> None:
    """Offer the samples; called when Slicer has started."""
    import SampleData

    icons = Path(__file__).resolve().parents[1] / "Resources" / "Icons"
    for name, (file, checksum) in FILES.items():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            thumbnailFileName=str(icons / "MRIDenoise.png"),
            uris=samplePath(name).as_uri(),
            fileNames=file,
            checksums=f"SHA256:{checksum}",
            nodeNames=file.removesuffix(".nii.gz"),
        )


def samplePath(name: str) -> Path:
    """The file of a sample, in the installed extension or in a checkout."""
    return ROOT / "Resources" / "SampleData" / FILES[name][0]
