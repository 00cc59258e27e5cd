"""The one configuration: sources in their order, aliases, and errors of one line."""

from pathlib import Path

import pytest

from project import config
from tests.components import ROOT


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in config.Config.model_fields:
        for name in config.setting_names(field):
            monkeypatch.delenv(name, raising=False)


def write(directory: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "config.yaml").write_text(text)
    monkeypatch.setenv("GANDER_CONFIG_DIR", str(directory))


def test_defaults_work() -> None:
    loaded = config.load()
    assert (loaded.host, loaded.port, loaded.max_sync_mb) == ("127.0.0.1", 3000, 64)


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        "port: 4000\nsharing: team\nopencode_config: {share: auto}\nallowed_hosts: [a, b]\n",
        monkeypatch,
    )
    monkeypatch.setenv("GANDER_PORT", "5000")
    loaded = config.load()
    assert (loaded.port, loaded.sharing, loaded.opencode_config) == (5000, "team", {"share": "auto"})
    assert loaded.allowed_hosts == ["a", "b"]


def test_the_goose_guides_names_are_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOSE_HOST", "0.0.0.0")
    monkeypatch.setenv("GOOSE_PORT", "3284")
    assert (config.load().host, config.load().port) == ("0.0.0.0", 3284)


def test_names_without_a_prefix_mean_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ambient = {"HOST": "zzz", "PORT": "tcp://1", "MODEL": "m", "ALLOWLIST_BYPASS": "true", "api_timeout": "5"}
    for name, value in ambient.items():
        monkeypatch.setenv(name, value)
    loaded = config.load()
    assert (loaded.host, loaded.port, loaded.model, loaded.allowlist_bypass) == ("127.0.0.1", 3000, "", False)
    write(tmp_path, "host: 0.0.0.0\nport: 4000\napi_timeout: 7\n", monkeypatch)
    loaded = config.load()
    assert (loaded.host, loaded.port, loaded.api_timeout) == ("0.0.0.0", 4000, 7)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANDER_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    assert config.load().trusted_proxies == ["10.0.0.0/8", "127.0.0.1"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GANDER_PORT", "abc", "integer"),
        ("GOOSE_PORT", "70000", "65535"),
        ("GANDER_SHARING", "everyone", "'anyone', 'team' or 'off'"),
        ("GANDER_BASE_URL", "https://host/path", "without a path"),
        ("GANDER_BASE_URL", "host", "origin"),
        ("DATABASE_URL", "mysql://x", "postgres://"),
        ("GANDER_TRUSTED_PROXIES", "proxy", "networks"),
        ("GANDER_SECRET_KEY", "short", "32 characters"),
        ("GANDER_MAX_SYNC_MB", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_names_setting_source_and_what_is_expected(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigurationError) as caught:
        config.load()
    message = str(caught.value)
    assert name in message and "the environment" in message and expected in message and "\n" not in message


@pytest.mark.parametrize(
    "text", ["port: abc\n", "prot: 3000\n", "port: [\n", "just text\n", "sharing: everyone\n"]
)
def test_a_wrong_file_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, text, monkeypatch)
    with pytest.raises(config.ConfigurationError) as caught:
        config.load()
    assert "config.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GANDER_ALLOWLIST", "http://ann:s3cret@host/list"),
        ("GANDER_ALLOWLIST", "https://ann:s3cret@host:port/list"),
        ("GANDER_PROVIDER_URL", "ftp://ann:s3cret@host"),
    ],
)
def test_passwords_in_addresses_do_not_stand_in_errors(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigurationError) as error:
        config.load()
    assert "s3cret" not in str(error.value) and name in str(error.value)


def test_secrets_do_not_stand_in_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://user:hunter2@host/db")
    with pytest.raises(config.ConfigurationError) as caught:
        config.load()
    assert "hunter2" not in str(caught.value)


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    for field in config.Config.model_fields:
        assert f"`{config.setting_names(field)[0]}`" in text, field
