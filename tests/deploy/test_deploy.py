"""Files of `deploy/` against the program: commands, refusal codes, syntax."""

import re
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from client.egress.expected import BlockReason
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Connection
from common.errors import RefusalCode
from consilium.command import app
from server.home.places import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHARTS = sorted((DEPLOY / "helm").iterdir())
TEMPLATES = sorted(DEPLOY.glob("helm/*/templates/*.yaml"))
PLAIN = sorted([*DEPLOY.glob("compose*.yaml"), *DEPLOY.glob("helm/*/*.yaml")])
GROUPS = ("site", "coordinator", "receipts", "privacy", "cohort", "simulate")
ALL_SET = {"pullSecret": "given", "secret": "given", "proxySecret": "given", "storageClass": "given"}


def name(path: Path) -> str:
    return str(path.relative_to(DEPLOY))


def words_of(command: str) -> list[str]:
    """The words of a command up to its first argument."""
    return list(takewhile(re.compile(r"[a-z]+").fullmatch, command.split()))


def commands(path: Path) -> Iterator[list[str]]:
    """Every command of ours in a file: `consilium site start`, or the arguments of a container."""
    text = path.read_text(encoding="utf-8")
    for found in re.findall(
        rf"(?<![\w/-])(?:/opt/consilium/bin/)?consilium ((?:{'|'.join(GROUPS)})\b[^\n`]*)", text
    ):
        yield words_of(found)
    for found in re.findall(r'(?:CMD|args:|command:) \[("(?:site|coordinator)"[^\]]*)\]', text):
        yield words_of(found.replace('"', "").replace(",", ""))


@pytest.mark.parametrize("path", [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()], ids=name)
def test_commands_exist(path: Path) -> None:
    for words in commands(path):
        command: click.Command = typer.main.get_command(app)
        for word in words:
            if not isinstance(command, click.Group):
                break
            subcommand = command.get_command(click.Context(command), word)
            assert subcommand is not None, f"consilium {' '.join(words)}"
            command = subcommand
        assert not isinstance(command, click.Group), f"consilium {' '.join(words)}"


def test_commands_are_found() -> None:
    """The test above would pass if nothing were found."""
    for path, words in {
        "Dockerfile": ["coordinator", "start"],
        "compose.site.yaml": ["site", "start"],
        "systemd/consilium-site.service": ["site", "start"],
        "systemd/consilium-coordinator.service": ["coordinator", "start"],
        "helm/consilium-site/templates/statefulset.yaml": ["site", "start"],
        "healthy.sh": ["coordinator", "status"],
        "README.md": ["site", "doctor"],
    }.items():
        assert words in list(commands(DEPLOY / path)), path


def test_every_refusal_code_has_its_row() -> None:
    codes, _, rest = (
        (DEPLOY / "README.md").read_text(encoding="utf-8").partition("\n## What to do when something")
    )
    rows = re.findall(r"^\| `([a-z-]+)` \|(.+)\|$", codes, re.M)
    assert [code for code, _ in rows] == [code.value for code in RefusalCode]
    for code, cells in rows:
        assert len([cell for cell in re.split(r"(?<!\\)\|", cells) if cell.strip()]) == 3, code
    assert all(f"`{reason.value}`" in rest for reason in BlockReason)


def test_files_that_the_document_names_are_there() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for found in re.findall(r"`((?:systemd|proxy|helm)/[\w./-]*|[\w.]+\.(?:yaml|sh))`", text):
        assert (DEPLOY / found).exists(), found


def test_ports_and_names_are_those_of_the_program() -> None:
    port, local = Settings.model_fields["port"].default, Connection.model_fields["port"].default
    document = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert f"TCP {port} " in document
    assert f"| {local} (" in document
    assert f"EXPOSE {port}" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for path in ("Dockerfile", "compose.site.yaml", "systemd/consilium-site.service"):
        assert f"{STATE_VARIABLE}=/" in (DEPLOY / path).read_text(encoding="utf-8")


def test_versions_are_those_of_the_program() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for path in [*DEPLOY.glob("compose*.yaml"), *DEPLOY.glob("helm/*/values.yaml")]:
        for found in re.findall(
            r"consilium-(?:site|coordinator):(\d[\w.]*)", path.read_text(encoding="utf-8")
        ):
            assert found == version, name(path)
    torch = re.search(r'"(torch==[\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert torch
    assert torch[1] in (DEPLOY / "lock/torch-cpu.txt").read_text(encoding="utf-8")
    for chart in CHARTS:
        assert f'appVersion: "{version}"' in (chart / "Chart.yaml").read_text(encoding="utf-8")


def parsed(text: str) -> Any:
    """YAML, where a parser is installed."""
    return pytest.importorskip("yaml").safe_load(text)


def rendered(template: str, values: dict[str, Any]) -> str:
    """Render a Helm template of values, the release's name, `if` and `eq` with a string."""
    lines, kept = [], [True]
    for line in template.splitlines():
        if asked := re.fullmatch(r'\{\{- if (?:eq )?\.Values\.([\w.]+)(?: "(\w+)")? \}\}', line):
            value = looked_up(values, asked[1])
            kept.append(value == asked[2] if asked[2] else bool(value))
        elif line == "{{- else }}":
            kept[-1] = not kept[-1]
        elif line == "{{- end }}":
            kept.pop()
        elif all(kept):
            given = re.sub(r"\{\{ \.Values\.([\w.]+) \}\}", lambda one: str(looked_up(values, one[1])), line)
            lines.append(given.replace("{{ .Release.Name }}", "north"))
    assert kept == [True]
    assert "{{" not in "\n".join(lines)
    return "\n".join(lines)


def looked_up(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize("path", PLAIN, ids=name)
def test_yaml_parses(path: Path) -> None:
    assert isinstance(parsed(path.read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_templates_give_objects(path: Path, everything: bool) -> None:
    values = parsed((path.parents[1] / "values.yaml").read_text(encoding="utf-8"))
    if everything:
        values |= {key: value for key, value in ALL_SET.items() if key in values} | {"maintenance": False}
    made = parsed(rendered(path.read_text(encoding="utf-8"), values))
    assert made["metadata"]["name"] == "north"
    if made["kind"] == "StatefulSet":
        confined(made, ("args" if everything else "command"))


def confined(made: dict[str, Any], what: str) -> None:
    pod = made["spec"]["template"]["spec"]
    container, *apps = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for one in (container, *apps):
        assert what in one
        other = {"runAsUser": 10002} if one in apps else {}
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            **other,
        }
        assert "envFrom" not in one or one is container
    claims = {claim["metadata"]["name"] for claim in made["spec"]["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == claims | volumes
    for one in apps:
        assert {mount["name"] for mount in one["volumeMounts"]} == (claims | volumes) - {"secret"}


def test_a_site_takes_nobody_in_and_a_coordinator_dials_nobody() -> None:
    for chart, key in (("site", "ingress"), ("coordinator", "egress")):
        folder = DEPLOY / "helm" / f"consilium-{chart}"
        values = parsed((folder / "values.yaml").read_text(encoding="utf-8"))
        policy = rendered((folder / "templates" / "networkpolicy.yaml").read_text(encoding="utf-8"), values)
        assert parsed(policy)["spec"][key] == []
    assert (
        "ports" not in parsed((DEPLOY / "compose.site.yaml").read_text(encoding="utf-8"))["services"]["site"]
    )


@pytest.mark.parametrize("side", ["site", "coordinator"])
def test_memory_is_limited_everywhere(side: str) -> None:
    assert "\nMemoryMax=80%\n" in (DEPLOY / f"systemd/consilium-{side}.service").read_text()
    assert parsed((DEPLOY / f"compose.{side}.yaml").read_text())["services"][side]["mem_limit"]
    assert parsed((DEPLOY / f"helm/consilium-{side}/values.yaml").read_text())["memory"]


@pytest.mark.parametrize("side", ["site", "coordinator"])
def test_compose_confines(side: str) -> None:
    service = parsed((DEPLOY / f"compose.{side}.yaml").read_text(encoding="utf-8"))["services"][side]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert service["volumes"]


def test_training_has_an_account_and_no_network() -> None:
    """Units and containers of the two accounts, of which the one that trains cannot dial out."""
    gate, app = ((DEPLOY / f"systemd/consilium-{unit}.service").read_text() for unit in ("site", "app"))
    for line in ("User=consilium-app", "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "UMask=0007"):
        assert f"\n{line}\n" in f"{app}\n"
        assert f"\n{line}\n" not in f"{gate}\n"
    for line in ("Group=consilium", "MemoryMax=80%", "NoNewPrivileges=yes", "CapabilityBoundingSet="):
        assert f"\n{line}\n" in app
    assert "EnvironmentFile" not in app
    services = parsed((DEPLOY / "compose.site.yaml").read_text())["services"]
    app_, site = services["app"], services["site"]
    assert (app_["network_mode"], app_["user"]) == ("none", "10002:10001")
    assert app_["user"] != site["user"]
    for key in ("read_only", "cap_drop", "security_opt", "mem_limit"):
        assert app_[key] == site[key]
    assert not any("PROXY" in one for one in app_["environment"])
    assert ["site", "app"] in list(commands(DEPLOY / "helm/consilium-site/templates/statefulset.yaml"))
