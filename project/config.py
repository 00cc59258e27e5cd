"""The one typed configuration: environment, then ``config.yaml``, then defaults that work."""

import ipaddress
import os
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)


class ConfigurationError(Exception):
    """A setting cannot be used; the message is one line for the person who starts the server."""


class SharingPolicy(StrEnum):
    """To whom links may open sessions in this installation."""

    ANYONE = "anyone"
    TEAM = "team"
    OFF = "off"


class Provider(StrEnum):
    """Who runs models; an agent's default comes from one of them."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    GOOGLE = "google"
    OLLAMA = "ollama"
    COMPATIBLE = "openai-compatible"


class TurnsRunIn(StrEnum):
    SERVER = "server"
    WORKER = "worker"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SqliteSynchronous(StrEnum):
    NORMAL = "normal"
    FULL = "full"


def _split(value: object) -> object:
    """Takes a list written with commas, as environment variables are."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]


def _names(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class _Environment(EnvSettingsSource):
    """The environment's names alone: a ``HOST`` or ``PORT`` that a shell or a platform sets is not meant for Gander."""

    def _extract_field_info(
        self, field: FieldInfo, field_name: str, *further: Any
    ) -> list[tuple[str, str, bool]]:
        own = {name.lower() for name in setting_names(field_name) if name.isupper()}
        found = super()._extract_field_info(field, field_name, *further)
        return [info for info in found if info[1].lower() in own]


class Config(BaseSettings):
    """Every setting of Gander. In ``config.yaml`` a setting bears its name in lower case without the prefix."""

    model_config = SettingsConfigDict(
        env_prefix="GANDER_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        env_nested_delimiter=None,
    )

    host: str = Field(
        "127.0.0.1",
        validation_alias=_names("GANDER_HOST", "GOOSE_HOST", "host"),
        description="Address the server listens on.",
    )
    port: int = Field(
        3000,
        ge=1,
        le=65535,
        validation_alias=_names("GANDER_PORT", "GOOSE_PORT", "port"),
        description="Port the server listens on.",
    )
    data_dir: Path = Field(
        Path("~/.local/share/gander"),
        description="Directory for the SQLite database and the secret key, made with mode 0700.",
    )
    base_url: str = Field(
        "",
        description="Address people and agents use, such as `https://gander.example.org`; links are built from it. "
        "Without it, links are built from each request's own host.",
    )
    allowed_hosts: Names = Field(
        default_factory=list,
        description="Further host names the server answers to, separated by commas. Loopback names and the base "
        "URL's host are always allowed.",
    )
    trusted_proxies: Names = Field(
        default_factory=list,
        description="Addresses or networks (`10.0.0.0/8`) of reverse proxies whose `X-Forwarded-For`, "
        "`X-Forwarded-Proto` and `X-Forwarded-Host` are believed, separated by commas.",
    )
    database_url: str = Field(
        "",
        validation_alias=_names("DATABASE_URL", "GANDER_DATABASE_URL", "database_url"),
        description="PostgreSQL database, `postgres://user:password@host/name`. Without it, SQLite in the data "
        "directory.",
    )
    sqlite_synchronous: SqliteSynchronous = Field(
        SqliteSynchronous.NORMAL,
        description="`normal`, or `full` to survive a power cut without losing the last moments, at the price of "
        "slower writes.",
    )
    redis_url: str = Field(
        "",
        validation_alias=_names("REDIS_URL", "GANDER_REDIS_URL", "redis_url"),
        description="Redis for messages between processes, `redis://host:6379/0`. Without it they stay in memory, "
        "which is right for one process.",
    )
    secret_key: str = Field(
        "",
        description="Secret that signs cookies and derives keys, at least 32 characters. Without it, one is "
        "generated and kept in the data directory.",
    )
    max_sync_mb: int = Field(64, ge=1, le=2048, description="Largest request body accepted, in megabytes.")
    sharing: SharingPolicy = Field(
        SharingPolicy.ANYONE,
        description="Who may read a shared session: `anyone` with the link, the `team` (people with an account), "
        "or nobody (`off`: every link goes dark at once).",
    )
    anonymous_shares: bool = Field(
        False,
        description="Whether opencode may share without any credential; such shares belong to nobody.",
    )
    anonymous_days: int = Field(
        30, ge=1, le=3650, description="Days after which an anonymous share is deleted."
    )
    organisation: str = Field(
        "Gander",
        min_length=1,
        max_length=80,
        description="Name of this installation, as opencode shows it after `opencode console login`.",
    )
    opencode_config: dict[str, Any] = Field(
        default_factory=dict,
        description='opencode configuration handed to every signed-in opencode, such as `{"share": "auto"}`.',
    )
    threads: int = Field(
        4, ge=1, le=64, description="Threads that answer requests; each keeps one database connection."
    )
    allowlist: str = Field(
        "",
        validation_alias=_names("GANDER_ALLOWLIST", "GOOSE_ALLOWLIST", "allowlist"),
        description="Address (https only) or file of an allowlist in goose's YAML form. Extensions may run only what it "
        "or the admin panel's allowlist names.",
    )
    allowlist_minutes: int = Field(
        60, ge=1, le=10080, description="Minutes after which the allowlist is fetched again."
    )
    allowlist_bypass: bool = Field(
        False,
        validation_alias=_names("GANDER_ALLOWLIST_BYPASS", "GOOSE_ALLOWLIST_BYPASS", "allowlist_bypass"),
        description="`true` lets every extension of the catalogue run, whatever the allowlist says.",
    )
    provider: Provider | None = Field(
        None,
        validation_alias=_names("GANDER_PROVIDER", "GOOSE_PROVIDER", "provider"),
        description="Provider of the default model: `anthropic`, `openai`, `google`, `ollama` or `openai-compatible`. "
        "Without one, no agents run here.",
    )
    model: str = Field(
        "",
        max_length=150,
        validation_alias=_names("GANDER_MODEL", "GOOSE_MODEL", "model"),
        description="The default model, as its provider calls it. Admins allow further ones in the admin panel.",
    )
    provider_url: str = Field(
        "",
        description="Address of the provider's API, where it is another than the provider's usual one; required for "
        "`openai-compatible`.",
    )
    anthropic_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_names("ANTHROPIC_API_KEY", "anthropic_api_key"),
        description="Key for Anthropic's models.",
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_names("OPENAI_API_KEY", "openai_api_key"),
        description="Key for OpenAI's models, and for an OpenAI-compatible provider.",
    )
    google_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_names("GOOGLE_API_KEY", "GEMINI_API_KEY", "google_api_key"),
        description="Key for Google's models.",
    )
    ollama_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_names("OLLAMA_API_KEY", "ollama_api_key"),
        description="Key for Ollama, where it wants one.",
    )
    api_timeout: float = Field(
        300,
        gt=0,
        le=3600,
        validation_alias=_names("GANDER_API_TIMEOUT", "GOOSE_API_TIMEOUT", "api_timeout"),
        description="Seconds for which a provider may be silent, before its answer and within it.",
    )
    max_retries: int = Field(
        3,
        ge=0,
        le=20,
        validation_alias=_names("GANDER_MAX_RETRIES", "GOOSE_MAX_RETRIES", "max_retries"),
        description="How often a request that a provider refused for the moment is tried again.",
    )
    turn_requests: int = Field(
        100, ge=1, le=10_000, description="Most requests to the model in one turn of an agent."
    )
    turn_tokens: int = Field(
        5_000_000, ge=1000, description="Most tokens, given and made together, in one turn of an agent."
    )
    turns_at_once: int = Field(
        50, ge=1, le=1000, description="Most turns that one process runs at the same time; more wait."
    )
    turns_run_in: TurnsRunIn = Field(
        TurnsRunIn.SERVER,
        description="`server`: agents run in the processes that serve. `worker`: they run in `manage.py runworker "
        "agent-turns`, which needs Redis.",
    )
    turn_lease_seconds: float = Field(
        15,
        ge=1,
        le=600,
        description="Seconds after which a turn whose process was killed reads as interrupted.",
    )
    workspaces: Path = Field(
        Path(),
        description="Directory under which everybody has a workspace of their own, named like them. Without it, "
        "`workspaces` in the data directory.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that serve on the one port; more than one need Redis. `--workers` says the same.",
    )
    log_level: LogLevel = Field(LogLevel.INFO, description="`debug`, `info`, `warning` or `error`.")
    debug: bool = Field(False, description="Django's debug pages, for development only.")

    @field_validator("base_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            # opencode's importer takes only ORIGIN/share/<id>: a path prefix could never work.
            raise ValueError("expected an origin such as https://gander.example.org, without a path")
        if parts.query or parts.fragment or parts.username:
            raise ValueError("expected an origin such as https://gander.example.org, and nothing more")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("provider_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("expected an address such as https://models.example.org/v1")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _workspaces_beside_data(self) -> "Config":
        chosen = self.workspaces if self.workspaces != Path() else self.data_dir / "workspaces"
        # Frozen, and this is still its making.
        object.__setattr__(self, "workspaces", chosen.expanduser().absolute())
        return self

    @field_validator("allowlist_bypass", mode="before")
    @classmethod
    def _only_true(cls, value: object) -> bool:
        # As goose reads it: this one word in any case, and nothing else, switches the check off.
        return value is True or (isinstance(value, str) and value.lower() == "true")

    @field_validator("allowlist")
    @classmethod
    def _https_or_file(cls, value: str) -> str:
        if value.startswith("http://"):
            raise ValueError("expected https://… or a file")
        try:
            _ = urlsplit(value).port
        except ValueError:
            raise ValueError("expected an address or a file; its port is none") from None
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"expected addresses or networks, not {network!r}") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"postgres", "postgresql"}:
            raise ValueError("expected postgres://user:password@host/name")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("expected redis://host:port/database")
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and len(value) < 32:
            raise ValueError("expected at least 32 characters")
        return value

    @field_validator("data_dir")
    @classmethod
    def _at_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        environment = _Environment(settings_cls)
        path = config_file()
        if path is None:
            return init_settings, environment
        return init_settings, environment, YamlConfigSettingsSource(settings_cls, path)


def setting_names(field: str) -> list[str]:
    """All names under which a setting is read, the environment's own name first."""
    alias = Config.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"GANDER_{field.upper()}", field]


def config_file() -> Path | None:
    """``config.yaml`` of ``GANDER_CONFIG_DIR`` (or ``GOOSE_CONFIG_DIR``), where there is one.

    Raises:
        ConfigurationError: the directory is named but holds no such file.
    """
    for name in ("GANDER_CONFIG_DIR", "GOOSE_CONFIG_DIR"):
        if directory := os.environ.get(name):
            path = Path(directory).expanduser() / "config.yaml"
            if not path.is_file():
                raise ConfigurationError(f"{name}: there is no config.yaml in {directory}")
            return path
    return None


def _source(field: str, used: str) -> tuple[str, str]:
    """The name by which the person gave the setting, and where."""
    for name in setting_names(field):
        if name.isupper() and os.environ.get(name):
            return name, "the environment"
    return used, str(config_file())


def _explain(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    used = str(problem["loc"][0])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{used} in {config_file()} is not a setting; docs/configuration.md lists them all"
    field = next((name for name in Config.model_fields if used in {name, *setting_names(name)}), used)
    name, source = _source(field, used)
    # Addresses may hold passwords.
    addresses = {"database_url", "redis_url", "allowlist", "provider_url"}
    hidden = field in {"secret_key", *addresses} or field.endswith("_api_key")
    shown = "(hidden)" if hidden else repr(problem["input"])
    return f"{name} = {shown} from {source} cannot be used: {message[0].lower()}{message[1:]}"


def load() -> Config:
    """Reads the configuration afresh.

    Raises:
        ConfigurationError: names the setting, where its value came from, and what is expected.
    """
    try:
        return Config()
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    except (yaml.YAMLError, OSError, UnicodeDecodeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{config_file() or 'the environment'} cannot be read: {reason}") from None


@cache
def get() -> Config:
    """The configuration of this process, read once."""
    return load()
