"""What others read: golden vectors for hardware test benches."""

from fxsim.export.folder import read, verify
from fxsim.export.manifest import ImageFile, Manifest, Vector, WordFile
from fxsim.export.recorder import vectors

__all__ = ["ImageFile", "Manifest", "Vector", "WordFile", "read", "vectors", "verify"]
