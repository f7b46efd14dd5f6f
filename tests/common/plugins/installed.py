"""Distributions written into a folder as an installer leaves them, for tests of plug-ins."""

from collections.abc import Mapping
from pathlib import Path

from common.plugins.distribution import GROUP


def install(
    folder: Path, package: str, modules: Mapping[str, str], target: str, version: str = "1.0"
) -> Path:
    """Write modules and metadata into `folder`, which the caller has on `sys.path`; returns the metadata's folder.

    Args:
        folder: stands for site-packages.
        package: name of the distribution.
        modules: path in `folder` -> source.
        target: `module` or `module:function` of the entry point.
        version: of the distribution.
    """
    metadata = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    written = {
        **modules,
        f"{metadata.name}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{metadata.name}/entry_points.txt": f"[{GROUP}]\n{package} = {target}\n",
        f"{metadata.name}/INSTALLER": "a test\n",
    }
    for name, content in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    record = "".join(f"{name},,\n" for name in (*written, f"{metadata.name}/RECORD"))
    (metadata / "RECORD").write_text(record, encoding="utf-8")
    return metadata
