"""What the manifest tells of a volume is read as it stands there."""

from MRIDenoiseLib.data.manifest import read_manifest

COLUMNS = "file,source,licence,organ,contrast,vendor,subject"
VOLUME = "volumes/head_T1w_s1.nii.gz,here,none,head,T1w,Siemens,s1"


def test_what_a_volume_may_be_used_for_and_its_own_noise_are_read(tmp_path):
    lines = [f"{COLUMNS},split,own_noise", f"{VOLUME},as-scanned,0.0370", f"{VOLUME},train,", "repeats/x.nii.gz,a,b,c,d,e,f,repeats,"]
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines))
    noisy, unknown = read_manifest(tmp_path)
    assert (noisy.file, noisy.split, noisy.own_noise) == ("volumes/head_T1w_s1.nii.gz", "as-scanned", 0.037)
    assert (unknown.split, unknown.own_noise) == ("train", None)
