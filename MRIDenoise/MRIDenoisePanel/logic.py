"""What the module does, for its panel, for Slicer's Python console and for other modules: denoise, preview, segment, export.

The worker does the work in a separate process; the results go into the scene.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MRIDenoiseLib.errors import Cancelled, InputError, MRIDenoiseError, SettingsError
from MRIDenoiseLib.image.kind import judged
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.mrml.planes import region_of
from MRIDenoiseLib.mrml.results import (
    MAPS,
    Account,
    add_preview,
    add_results,
    check_output,
    remove_previews,
    role_of,
    settings_of,
    source_of,
)
from MRIDenoiseLib.mrml.volumes import acquisition_of, first_header, source_files, to_volume
from MRIDenoiseLib.prompt import override
from MRIDenoiseLib.result import Result
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker.client import Answer, SegmentedImages, WorkerClient
from MRIDenoiseLib.worker.protocol import Failed
from MRIDenoisePanel.engine import Engine, WorkerEngine, sentenceOf
from MRIDenoisePanel.parameters import MRIDenoiseParameterNode
from MRIDenoisePanel.run import Run
from MRIDenoisePanel.segmented import DENOISED, NOISY, REFERENCE, Segmented, addTissues
from MRIDenoisePanel.setup import missingPackages

SCANNED = ("organ", "contrast", "vendor", "acceleration")
"""What a caller may state about a scan in place of what its headers or its name state."""
REQUIREMENTS = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"


class MRIDenoiseLogic(ScriptedLoadableModuleLogic):
    """Denoises volumes of the scene: ``slicer.util.getModuleLogic("MRIDenoise").process(volume)``.

    Every job takes ``wait``: True processes Slicer's events until it is done and gives its result; False gives a :class:`Run` at once.
    One job is done at a time. Whatever is wrong is an ``MRIDenoiseLib.errors.MRIDenoiseError`` whose message is one sentence, raised
    here where it is known before the job starts, and by :meth:`Run.wait` otherwise; ``Cancelled`` is one of them.

    Args:
        parent: as Slicer gives it.
        engine: does the jobs; a worker process, started with the first of them, when not given.
        command: what runs Python for the worker; Slicer's own when not given.
    """

    def __init__(self, parent: Any = None, *, engine: Engine | None = None, command: list[str] | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        words = command or [shutil.which("PythonSlicer") or sys.executable]
        self.engine: Engine = engine or WorkerEngine(lambda onAnswer: WorkerClient(words, onAnswer))
        self._run: Run | None = None
        self._installed = False

    def getParameterNode(self) -> MRIDenoiseParameterNode:
        """The panel's choices as they lie in the scene, typed."""
        return MRIDenoiseParameterNode(super().getParameterNode())

    def process(
        self,
        input: Any,
        output: Any = None,
        *,
        reference: Any = None,
        region: Any = None,
        bundle: str | Path | None = None,
        wait: bool = True,
        **settings: Any,
    ) -> Any:
        """Denoise a volume; the residual is put into the scene, too.

        Args:
            input: the noisy scalar volume node.
            output: a scalar volume node for the result, whose content is replaced; a new one next to the input when not given.
            reference: a clean volume node of the same anatomy, which the panel then compares the result with. It changes nothing in it.
            region: a markups ROI node; outside it the image stays as it is.
            bundle: folder of the model; the one that comes with the extension when not given.
            wait: see the class.
            settings: those of :class:`MRIDenoiseLib.Settings` by name, such as ``method``, ``steps``, ``strength``, ``seed`` and
                ``device``; and organ, contrast, vendor or acceleration, in the place of what was read.

        Returns:
            The denoised volume node; its node reference ``MRIDenoise.residual`` refers to the residual, and with ``uncertainty=True`` or
            ``noise_map=True``, ``MRIDenoise.uncertainty`` and ``MRIDenoise.noiseMap`` to those maps.

        Raises:
            InputError: a node cannot be used as it is.
            SettingsError: a setting that does not exist, or has a value that cannot work.
            WorkerError: another job is being done.
        """
        if output is not None:
            check_output(output, _given(input))
        if region is not None and settings.get("slices") is not None:
            raise SettingsError(_("Give a region or slices, not both."))
        volume, settings = self._volumeOf(input, settings, denoising=True)
        box = None if region is None else region_of(region, input)

        def take(answer: Result) -> Any:
            return self._addResults(input, output, reference, answer)

        return self._denoise((input, output, reference), volume, settings, bundle, box, take, wait)

    def preview(self, input: Any, index: int, *, bundle: str | Path | None = None, wait: bool = True, **settings: Any) -> Any:
        """Denoise one slice, counted from 0 across the acquired plane; the others stay as they are.

        Args, errors and waiting are those of :meth:`process`.

        Returns:
            A volume node, which goes when the whole volume is denoised or another slice is previewed.
        """
        # No map is shown of a preview.
        asked = {name: value for name, value in settings.items() if name != "uncertainty"}
        volume, settings = self._volumeOf(input, {**asked, "slices": (index, index + 1)}, denoising=True)

        def take(answer: Result) -> Any:
            return add_preview(slicer.mrmlScene, input, answer.volume, Account(answer.report, answer.report["bundle"]))

        return self._denoise((input,), volume, settings, bundle, None, take, wait)

    def segment(
        self, input: Any, denoised: Any = None, *, reference: Any = None, classes: int = 3, wait: bool = True, **scanned: Any
    ) -> Any:
        """Segment the tissues of a noisy volume, of its result and of a clean one in the same mask.

        Args:
            input: the noisy scalar volume node.
            denoised: its result, on the same grid.
            reference: a clean volume node on the same grid, with which the others are compared by Dice.
            classes: 2 to 6.
            wait: see the class.
            scanned: organ, contrast, vendor or acceleration, in the place of what was read.

        Returns:
            A :class:`Segmented`.

        Raises:
            InputError: a node cannot be used as it is.
            SettingsError: a name that is none of these, or a number of classes that cannot work.
            WorkerError: another job is being done.
        """
        if unknown := sorted(set(scanned) - set(SCANNED)):
            raise SettingsError(f"unknown setting {unknown[0]!r}: choose among {', '.join(SCANNED)}")
        first, _none = self._volumeOf(input, scanned)
        nodes = {name: node for name, node in ((NOISY, input), (DENOISED, denoised), (REFERENCE, reference)) if node is not None}
        images = [(name, first if node is input else _alike(to_volume(node), first)) for name, node in nodes.items()]
        against = len(images) - 1 if reference is not None else None

        def take(answer: SegmentedImages) -> Segmented:
            return addTissues(nodes, answer, tuple(dict.fromkeys(note for _name, image in images for note in image.notes)))

        return self._start(
            tuple(nodes.values()), lambda client: client.segment(images, reference=against, classes=classes), take, wait=wait
        )

    def export(self, result: Any, target: str | Path, *, overwrite: bool = False, wait: bool = True) -> Any:
        """Write a denoised volume or a residual, with how it was made.

        Args:
            result: a volume node that :meth:`process` made.
            target: an image file (.nii.gz, .nii, .nrrd, .mha), or a folder for a derived DICOM series, which needs a noisy volume from
                Slicer's DICOM database.
            overwrite: whether what is there may be replaced.
            wait: see the class. An export is not stopped half-way.

        Returns:
            The place as a whole path.

        Raises:
            InputError: the node is not a result of this module.
            WorkerError: another job is being done.
            MRIDenoiseError: it cannot be written there.
        """
        volume, role = to_volume(_given(result)), role_of(result)
        if role not in ("denoised", "residual", *MAPS):
            raise InputError(_("{name} is not a result of MRI Denoise; denoise a volume first").format(name=result.GetName()))
        # The worker runs in another folder.
        place, report, sources = Path(target).expanduser().absolute(), settings_of(result), self.sourceFiles(result)
        # It needs nothing from the scene any more, so it continues when the scene is closed.
        return self._start(
            (),
            lambda client: client.save(volume, place, report, sources=sources, suffix=role, overwrite=overwrite),
            lambda _saved: place,
            wait=wait,
            lasting=True,
        )

    def sourceFiles(self, result: Any) -> list[Path]:
        """The DICOM files of the volume that a result was made from; none where it is gone or came from elsewhere."""
        source = source_of(result)
        return source_files(source, self.fileOfInstance) if source is not None else []

    def fileOfInstance(self, uid: str) -> str:
        """The file of a SOP Instance UID (0008,0018) in Slicer's DICOM database; empty where it is not there."""
        return slicer.dicomDatabase.fileForInstance(uid)

    def close(self) -> None:
        """End the worker and whatever it is doing; the next job starts another."""
        self.engine.close()
        run, self._run = self._run, None
        if run is not None:
            run.giveUp()

    def _volumeOf(self, node: Any, settings: dict[str, Any], *, denoising: bool = False) -> tuple[Volume, dict[str, Any]]:
        """A node's image with what is known of the scan, and the settings that are not about the scan."""
        stated = {name: settings[name] for name in SCANNED if settings.get(name) is not None}
        volume = to_volume(_given(node))
        # What the headers state about the kind of image; the image itself keeps its own slices.
        noted = judged(replace(volume, headers=first_header(node, self.fileOfInstance)), denoising=denoising)
        volume = replace(volume, notes=noted.notes)
        acquisition = override(acquisition_of(node, self.fileOfInstance), **stated)
        return volume.with_acquisition(acquisition), {name: value for name, value in settings.items() if name not in SCANNED}

    def _denoise(
        self,
        needed: tuple[Any, ...],
        volume: Volume,
        settings: dict[str, Any],
        bundle: str | Path | None,
        box: list[tuple[int, int]] | None,
        take: Callable[[Any], Any],
        wait: bool,
    ) -> Any:
        Settings.named(settings)
        device = settings.pop("device", None) or "auto"
        model = Path(bundle).expanduser().absolute() if bundle else None
        return self._start(
            needed, lambda client: client.denoise(volume, settings, bundle=model, device=device, region=box), take, wait=wait
        )

    def _start(
        self,
        needed: tuple[Any, ...],
        job: Callable[[WorkerClient], int],
        take: Callable[[Any], Any],
        *,
        wait: bool,
        lasting: bool = False,
    ) -> Any:
        """Start a job; what becomes of its answer is what the run gives.

        Args:
            needed: nodes that must still be in the scene then.
            job: sends the request to the worker.
            take: turns the answer into the result of the run.
            wait: for the result, or return the run.
            lasting: see :meth:`.engine.Engine.ask`.
        """
        self._checkInstalled()
        names = [(node, node.GetID()) for node in needed if node is not None]
        run = Run(self.engine)

        def given(answer: Answer) -> Any:
            if isinstance(answer, Failed):
                raise (Cancelled if answer.cancelled else MRIDenoiseError)(sentenceOf(answer.sentence))
            if any(slicer.mrmlScene.GetNodeByID(name) is not node for node, name in names):
                raise InputError(_("The volume was removed in the meantime; its result was dropped."))
            return take(answer)

        def answered(answer: Answer) -> None:
            self._run = None
            run.end(lambda: given(answer))

        self.engine.ask(job, answered, lasting=lasting)
        self._run = None if run.done else run
        return run.wait() if wait else run

    def _addResults(self, source: Any, output: Any, reference: Any, answer: Result) -> Any:
        scene = slicer.mrmlScene
        remove_previews(scene, source)
        account = Account(answer.report, answer.report["bundle"])
        images = (answer.volume, answer.residual)
        return add_results(scene, source, *images, account, into=output, reference=reference, maps=answer.maps).denoised

    def _checkInstalled(self) -> None:
        if not self._installed:
            if missing := missingPackages(REQUIREMENTS):
                raise MRIDenoiseError(
                    _("Python packages are missing ({packages}); open the module MRI Denoise and install them under Set-up").format(
                        packages=", ".join(missing)
                    )
                )
            self._installed = True


def _given(node: Any) -> Any:
    """The node, if there is one."""
    if node is None:
        raise InputError(_("There is no volume; give a volume node of the scene"))
    return node


def _alike(volume: Volume, first: Volume) -> Volume:
    """Another image of what the first one shows."""
    return replace(volume.with_acquisition(first.acquisition), acquired_axis=first.slice_axis)
