import json
from pathlib import Path

from typer.testing import CliRunner

from common.agreement.federation import Federation
from consilium.release_cli import release_app
from tests.released import Coordinator


def test_anybody_with_the_public_key_verifies(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    file, run = coordinator.write(), CliRunner().invoke
    asked = ["verify", str(file), "--key", str(coordinator.authority)]
    ended = run(release_app, asked)
    assert ended.exit_code == 0
    assert "research use" in ended.output
    facts = json.loads(run(release_app, [*asked, "--json"]).output)
    assert (facts["version"], facts["federation"]) == ("test-1", federation.digest)
    stranger = Coordinator(tmp_path / "stranger", federation)
    assert run(release_app, [*asked[:3], str(stranger.authority)]).exit_code == 2
    file.write_bytes(file.read_bytes() + b"\0")
    assert run(release_app, asked).exit_code == 2


def test_anybody_writes_the_card(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    file, out, run = coordinator.write(), tmp_path / "card", CliRunner().invoke
    with_key = run(release_app, ["card", str(file), "--key", str(coordinator.authority), "--out", str(out)])
    assert with_key.exit_code == 0
    assert "TRIPOD+AI" in with_key.output
    verified = json.loads((out / "model-card.json").read_text())["facts"]["origin"]["data"]
    assert run(release_app, ["card", str(file), "--out", str(out)]).exit_code == 0
    unverified = json.loads((out / "model-card.json").read_text())["facts"]["origin"]["data"]
    assert verified["signer"]
    assert unverified == verified | {"signer": None}
    file.write_bytes(file.read_bytes() + b"\0")
    assert run(release_app, ["card", str(file), "--out", str(tmp_path / "none")]).exit_code == 2
    assert not (tmp_path / "none").exists()
