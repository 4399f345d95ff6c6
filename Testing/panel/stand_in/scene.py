"""The scene with the logics that the application gives it, and its two functions that load and save it."""

from __future__ import annotations

from desktop import Desktop


class SceneWithLogics(Desktop):
    """The desktop of the scene's own tests, with slicer.util's loadScene() and saveScene()."""

    def load(self, filename: str, properties: dict | None = None) -> bool:
        """As slicer.util.loadScene(): added to what is there, unless the property "clear" is set."""
        clear = bool((properties or {}).get("clear", False))
        if filename.lower().endswith(".mrb"):
            return bool(self.scene.ReadFromMRB(filename, clear))
        self.scene.SetURL(filename)
        return bool(self.scene.Connect() if clear else self.scene.Import())

    def save(self, filename: str, properties: dict | None = None) -> bool:
        """As slicer.util.saveScene(), into a bundle or, without voxels, into a .mrml file."""
        if filename.lower().endswith(".mrb"):
            return bool(self.scene.WriteToMRB(filename))
        if not filename.lower().endswith(".mrml"):
            raise ValueError(f"the stand-in saves .mrb and .mrml only: {filename}")
        return bool(self.scene.Commit(filename))
