"""`SampleData` without the network: sources are registered as in Slicer, files come from the disk and are checked."""

from __future__ import annotations

import shutil
import types
import urllib.parse
import urllib.request
from pathlib import Path

import slicer
from slicer.util import computeChecksum, extractAlgoAndDigest


class SampleDataSource:
    """One data set; a single value stands for a list of one."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFileProperties=None,
        loadFileType=None,
    ) -> None:
        if loadFileType is not None and loadFileTypes is not None:
            raise ValueError("loadFileType and loadFileTypes cannot be specified at the same time")
        self.sampleName = sampleName
        self.sampleDescription = sampleDescription or sampleName
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        single = isinstance(uris, str)
        self.uris = [uris] if single else list(uris or [])
        per_file = dict(
            fileNames=fileNames, nodeNames=nodeNames, checksums=checksums, loadFiles=loadFiles, loadFileTypes=loadFileTypes or loadFileType
        )
        for name, value in per_file.items():
            spread = [value] if single else [value] * len(self.uris) if value is None or isinstance(value, str) else list(value)
            if len(spread) != len(self.uris):
                raise ValueError(f"All fields of sample data source must have the same length: {name} has {len(spread)}")
            setattr(self, name, spread)

    def __eq__(self, other) -> bool:
        return isinstance(other, SampleDataSource) and vars(self) == vars(other)

    __hash__ = None


class SampleDataLogic:
    """Registers and fetches sample data. `served` maps an address to the file that a test offers for it."""

    served: dict[str, Path] = {}

    @staticmethod
    def registerCustomSampleDataCategory(category, title) -> None:
        slicer.modules.sampleDataSourceCategories.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileType=None,
    ) -> None:
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
            loadFileType=loadFileType,
        )
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        sources = slicer.modules.sampleDataSources
        return sources if category is None else sources.get(category, [])

    def sourceForSampleName(self, sampleName):
        everything = (source for sources in slicer.modules.sampleDataSources.values() for source in sources)
        return next((source for source in everything if source.sampleName == sampleName), None)

    def downloadSample(self, sampleName):
        """The first node; IndexError for a name that nobody registered, as in Slicer."""
        return self.downloadSamples(sampleName)[0]

    def downloadSamples(self, sampleName) -> list:
        source = self.sourceForSampleName(sampleName)
        return self.downloadFromSource(source) if source is not None else []

    def downloadFromSource(self, source, maximumAttemptsCount=3, forceDownload=False) -> list:
        """The loaded nodes; paths for files that are not to be loaded.

        Raises:
            ValueError: the file cannot be had, or it is another than its checksum says (Slicer would log it and load nothing).
        """
        return [self._file_or_node(source, row) for row in range(len(source.uris))]

    def downloadFileIntoCache(self, uri, name, checksum=None, forceDownload=False) -> str:
        target = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()) / name
        algorithm, digest = extractAlgoAndDigest(checksum)
        shutil.copyfile(self._offered(uri), target)
        if algorithm is not None and computeChecksum(algorithm, str(target)) != digest:
            target.unlink()
            raise ValueError(f"{name} is not the file that its checksum {checksum} describes")
        return str(target)

    def _offered(self, uri: str) -> Path:
        address = urllib.parse.urlparse(uri)
        path = Path(urllib.request.url2pathname(address.path)) if address.scheme == "file" else self.served.get(uri)
        if path is None or not Path(path).is_file():
            raise ValueError(f"nothing is served at {uri}")
        return Path(path)

    def _file_or_node(self, source: SampleDataSource, row: int):
        uri = source.uris[row]
        name = source.fileNames[row] or Path(urllib.parse.urlparse(uri).path).name
        path = self.downloadFileIntoCache(uri, name, source.checksums[row])
        kind = source.loadFileTypes[row]
        if source.loadFiles[row] is False or kind in ("ZipFile", "SceneFile"):
            return path
        node = slicer.modules.volumes.logic().AddArchetypeVolume(path, source.nodeNames[row] or Path(path).name.split(".")[0])
        if node is None:
            raise ValueError(f"{name} could not be read as a volume")
        # The file was a copy in the cache: the node shall not point to it.
        slicer.mrmlScene.RemoveNode(node.GetStorageNode())
        return node


def sample_data_module() -> types.ModuleType:
    module = types.ModuleType("SampleData", __doc__)
    module.SampleDataSource = SampleDataSource
    module.SampleDataLogic = type("SampleDataLogic", (SampleDataLogic,), {"served": {}})
    module.downloadSample = lambda sampleName: module.SampleDataLogic().downloadSample(sampleName)
    module.downloadSamples = lambda sampleName: module.SampleDataLogic().downloadSamples(sampleName)
    return module
