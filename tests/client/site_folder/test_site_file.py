"""Reading of `site.toml`, whose texts are shown on a terminal."""

from pathlib import Path

import pytest

from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.errors import InvalidContentError
from tests.attacks.attack_table import AttackRow

HEAD = 'name = "north"\n[tables]\noutcomes = "o.csv"\n'


@pytest.mark.attack
def test_no_text_of_a_site_file_commands_a_terminal(tmp_path: Path, attack_row: AttackRow) -> None:
    shown = 0
    for sign in (r"\u001b[2J", r"\u009b1m", r"\u202e", r"\u200b", r"\u2028", r"\u0007"):
        for text in (
            HEAD.replace("north", f"north{sign}"),
            HEAD.replace("o.csv", f"o{sign}.csv"),
            f'id = "p{sign}"\n' + HEAD,
            f'{HEAD}"rna{sign}" = "r.csv"\n',
            f'{HEAD}[columns.outcomes]\nage = "Alter{sign}"\n',
            f'{HEAD}[policy]\ntasks = ["os{sign}"]\n',
        ):
            (tmp_path / SITE_FILE).write_text(text)
            with pytest.raises(InvalidContentError) as raised:
                parse_site_file(tmp_path)
            shown += not str(raised.value).isprintable()
    attack_row("escape sequences in site.toml", "0 shown", f"{shown} shown")
    assert shown == 0


def test_a_hospitals_own_spelling_is_read(tmp_path: Path) -> None:
    (tmp_path / SITE_FILE).write_text(f'{HEAD}[columns.outcomes]\nage = "Größe\u00a0(cm)"\n')
    assert parse_site_file(tmp_path).columns["outcomes"]["age"] == "Größe\u00a0(cm)"
