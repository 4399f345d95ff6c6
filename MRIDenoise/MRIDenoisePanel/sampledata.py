"""The sample volume that comes with the extension, where Slicer lists sample data."""

from pathlib import Path

from MRIDenoiseLib.card import ROOT

CATEGORY = "MRI Denoise"
NOISY, CLEAN = "MRIDenoiseHeadT1wNoisy", "MRIDenoiseHeadT1wClean"
FILES = {
    NOISY: ("head_T1w_noisy.nii.gz", "4b357d87ef1051ed68a3552c3b16e30c2f59a1cca253a5101186598e89b027ee"),
    CLEAN: ("head_T1w_clean.nii.gz", "32117ddc3b45d0bc7df92f9768772086ea3bac437f4b831a634f7af639ca5c62"),
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
