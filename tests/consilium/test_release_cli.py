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
