"""Free memory is what the machine has and what the limits of the container leave of it."""

from pathlib import Path

import pytest

from client.training.free_memory import MemoryFiles, free_memory, left_in_groups

MIB = 2**20


@pytest.mark.parametrize(
    ("membership", "files", "left"),
    [
        ("0::/site\n", {"site/memory.max": "1000", "site/memory.current": "900"}, 150),
        ("0::/site\n", {"site/memory.max": "max", "site/memory.current": "900"}, None),
        ("0::/of/the/host\n", {"memory.max": "1000", "memory.current": "400"}, 650),
        (
            "0::/a/b\n",
            {
                "a/b/memory.max": "5000",
                "a/b/memory.current": "100",
                "a/memory.max": "700",
                "a/memory.current": "600",
            },
            150,
        ),
        (
            "4:memory:/x\n1:cpu:/x\n",
            {"memory/x/memory.limit_in_bytes": "800", "memory/x/memory.usage_in_bytes": "200"},
            650,
        ),
    ],
)
def test_the_limits_of_a_container_count(
    tmp_path: Path, membership: str, files: dict[str, str], left: int | None
) -> None:
    groups, own = tmp_path / "groups", tmp_path / "cgroup"
    own.write_text(membership)
    for name, content in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(content + "\n")
        (groups / name).with_name("memory.stat").write_text(
            "anon 1\ninactive_file 50\ntotal_inactive_file 50\n"
        )
    kernel = MemoryFiles(groups=groups, membership=own)
    found = list(left_in_groups(kernel))
    assert (min(found) if found else None) == left
    if left is not None:
        assert free_memory(kernel) == left


def test_a_system_without_such_files_is_asked_otherwise(tmp_path: Path) -> None:
    assert free_memory(MemoryFiles(system=tmp_path / "none", membership=tmp_path / "none")) > 10 * MIB
