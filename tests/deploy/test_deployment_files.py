"""What a hospital installs: the programs that read units, containers, proxy and settings understand them."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml

from carina.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("carina-web.service", "carina-worker.service", "carina-node.service", "carina-backup.service")
RUNNING = UNITS[:3]

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
needs_compose = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")


def _unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read(DEPLOY / "systemd" / name, "utf-8")
    return unit


def _here(name: str, folder: Path) -> list[str]:
    """Command of a unit, with the paths of this machine and free ports."""
    words = shlex.split(_unit(name)["Service"]["ExecStart"])
    assert words[0] == "/opt/carina/bin/carina"
    places = {
        "/srv/carina/service": str(folder / "service"),
        "/backup/carina/service": str(folder / "backups"),
        "/etc/carina/carina.toml": str(folder / "carina.toml"),
        "8000": str(_free_port()),
    }
    return [sys.executable, "-m", "carina", *(places.get(word, word) for word in words[1:])]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@needs_systemd
@pytest.mark.parametrize("name", [*UNITS, "carina-backup.timer"])
def test_systemd_understands_every_line(tmp_path: Path, name: str) -> None:
    for each in (*UNITS, "carina-backup.timer"):
        text = (DEPLOY / "systemd" / each).read_text("utf-8")
        # the program is looked for where it will be installed; here another stands for it
        (tmp_path / each).write_text(text.replace("/opt/carina/bin/carina", "/bin/true"), "utf-8")
    checked = subprocess.run(  # noqa: S603 - the system's own
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],  # noqa: S607 - as above
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in checked.stderr.splitlines() if "carina" in line]
    assert ours == []


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_shut_in(name: str) -> None:
    """systemd's own judgement: 0 is shut in altogether, 10 not at all; below 3 it calls OK."""
    judged = subprocess.run(  # noqa: S603 - the system's own
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(DEPLOY / "systemd" / name)],  # noqa: S607 - as above
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    if found is None:
        pytest.skip("this systemd judges no unit that is not installed")
    assert float(found[1]) < 3.0


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_a_command_that_is_understood(name: str) -> None:
    import click  # noqa: PLC0415 - beside its use
    import typer  # noqa: PLC0415 - as above

    from carina.cli import app  # noqa: PLC0415 - as above

    verb, *words = shlex.split(_unit(name)["Service"]["ExecStart"])[1:]
    group = typer.main.get_command(app)
    context = click.Context(group, info_name="carina")
    found = group.get_command(context, verb)
    assert found is not None
    found.make_context(verb, words, parent=context)


@pytest.mark.slow  # each loads the model or the web application
@pytest.mark.parametrize("name", RUNNING)
def test_a_unit_runs_and_ends_when_it_is_told_to(name: str, tmp_path: Path, tiny_bundle: Path) -> None:
    from carina.archive import create_study  # noqa: PLC0415 - beside its use

    with create_study(tmp_path / "service", "service") as study:
        study.accounts.add_organisation("ZZZ District")
    port = _free_port()
    settings = f'[service]\nmodel = "{tiny_bundle}"\n[pacs]\nport = {port}\n'
    settings += '[[pacs.peers]]\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104\n'
    (tmp_path / "carina.toml").write_text(settings, "utf-8")
    command = _here(name, tmp_path)
    heard = {"carina-web.service": int(command[command.index("--port") + 1]) if "--port" in command else 0}
    heard["carina-node.service"] = port
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S603 - our own
    try:
        end = time.monotonic() + 90
        while name in heard and time.monotonic() < end and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", heard[name])) == 0:
                    break
            time.sleep(0.2)
        else:
            time.sleep(3)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=90)
    assert status in (0, -signal.SIGTERM)


@pytest.mark.parametrize("name", ["carina.toml", "carina.compose.toml"])
def test_the_settings_are_settings(name: str) -> None:
    loaded = load_settings(DEPLOY / name)
    assert loaded.pacs.ae_title == "CARINA"
    assert tomllib.loads((DEPLOY / name).read_text("utf-8"))["service"]["model"] == "pneumonia"


def test_the_peer_to_try_with_is_valid_json() -> None:
    peer = json.loads((DEPLOY / "orthanc.json").read_text("utf-8"))
    assert peer["DicomModalities"]["carina"] == ["CARINA", "node", 11112]
    assert peer["AuthenticationEnabled"] is True


@needs_compose
def test_compose_finds_the_file_valid(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    checked = subprocess.run(
        ["docker-compose", "--file", "compose.yaml", "config"],  # noqa: S607 - Debian's
        cwd=tmp_path / "deploy",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    services = yaml.safe_load(checked.stdout)["services"]
    assert {"web", "node", "worker", "postgres", "redis", "proxy"} <= set(services)
    # only the proxy and the node are reached from outside
    assert {name for name, each in services.items() if each.get("ports")} <= {"proxy", "node", "orthanc"}


def test_containers_start_commands_that_are_understood() -> None:
    import click  # noqa: PLC0415 - beside its use
    import typer  # noqa: PLC0415 - as above

    from carina.cli import app  # noqa: PLC0415 - as above

    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    ours = {name: each["command"] for name, each in services.items() if each.get("image", "").startswith("carina")}
    assert set(ours) == {"init", "upgrade", "backup", "web", "node", "worker"}
    group = typer.main.get_command(app)
    context = click.Context(group, info_name="carina")
    for verb, *words in ours.values():
        found = group.get_command(context, verb)
        assert found is not None
        found.make_context(verb, words, parent=context)


def test_no_password_stands_in_what_is_installed() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert re.search(r"://[^/\s:@]+:[^@\s]+@", path.read_text("utf-8")) is None, path


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_understands_the_proxy(tmp_path: Path) -> None:
    places = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "chain.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=zzz", "-days", "2", *places]
    made = subprocess.run(  # noqa: S603 - the system's own
        command,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0
    text = (DEPLOY / "nginx.conf").read_text("utf-8").replace("/etc/carina/tls", str(tmp_path))
    text = text.replace("/var/log/nginx", str(tmp_path))
    whole = f"pid {tmp_path}/pid; error_log {tmp_path}/error; events {{}}\nhttp {{\n{text}\n}}\n"
    (tmp_path / "nginx.conf").write_text(whole, "utf-8")
    checked = subprocess.run(  # noqa: S603 - the system's own
        ["nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)],  # noqa: S607 - as above
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
