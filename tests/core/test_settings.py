"""Settings: the environment over the file over the defaults; what is wrong is named, and no value repeated."""

from pathlib import Path

import pytest

from core.chores import settings_document
from core.errors import ConfigurationError
from core.settings import Settings, load
from core.settings.section import Section

ROOT = Path(__file__).parents[2]


def test_defaults_need_neither_file_nor_environment():
    assert load({}).store.lane_batch_max == 200


def test_the_environment_lies_over_the_file(tmp_path):
    file = tmp_path / "heliograph.toml"
    file.write_text('[mail]\nport = 2525\nhost = "mail.example"\nrecipients = ["a@example.org"]\n')
    settings = load({"HELIOGRAPH_MAIL_PORT": "26", "HELIOGRAPH_MAIL_RECIPIENTS": "b@example.org, c@example.org"}, file)

    assert (settings.mail.host, settings.mail.port) == ("mail.example", 26)
    assert settings.mail.recipients == ["b@example.org", "c@example.org"]


@pytest.mark.parametrize(("text", "meaning"), [("false", False), ("0", False), ("true", True), ("1", True)])
def test_the_text_false_is_false(text, meaning):
    assert load({"HELIOGRAPH_FAILOVER_AUTOMATIC_RECOVERY": text}).failover.automatic_recovery is meaning


def test_a_misspelt_variable_is_told_with_what_was_meant():
    with pytest.raises(ConfigurationError) as refused:
        load({"HELIOGRAPH_STORE_LANE_BATCH_MX": "7"})

    assert "HELIOGRAPH_STORE_LANE_BATCH_MAX" in refused.value.hint


def test_every_wrong_setting_is_named_and_no_value_repeated(tmp_path):
    file = tmp_path / "heliograph.toml"
    file.write_text('[code]\nsecret = "tooshort-hunter2"\nlength = 99\n[reports]\nhour = 25\n[nonsense]\nx = 1\n')
    with pytest.raises(ConfigurationError) as refused:
        load({}, file)

    for name in ("code.secret", "code.length", "reports.hour", "nonsense"):
        assert name in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("content", [b"[store", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused_by_name(tmp_path, content):
    file = tmp_path / "broken.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"broken\.toml is not TOML"):
        load({}, file)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent\.toml"):
        load({"HELIOGRAPH_CONFIG": str(tmp_path / "absent.toml")})


def test_secrets_do_not_print():
    settings = load({"HELIOGRAPH_STORE_URL": "mysql+pymysql://u:hunter2@db/x", "HELIOGRAPH_CODE_SECRET": "s" * 40})

    assert "hunter2" not in repr(settings)
    assert "s" * 40 not in repr(settings)


def test_every_setting_has_a_sentence():
    for section in [
        cls for cls in Section.__subclasses__() if cls is not Settings and cls.__module__ == "core.settings"
    ]:
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"
            assert field.description.endswith("."), f"{section.__name__}.{name}"


def test_the_document_is_what_the_declarations_say():
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == settings_document(), "run `make docs`"
