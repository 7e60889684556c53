"""nginx and HAProxy in front of two real servers, and their files read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.exporters.exporting import export, launch_for
from autotune.exporters.haproxy import HaproxyExporter, HaproxyOptions
from autotune.exporters.nginx import NginxExporter, NginxOptions
from autotune.exporters.options import read_options
from autotune.exporters.protocol import Exporter, ExportOptions
from autotune.plan.launch import Launch
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan
from tests.exporters.serving import answering, asked, free_ports, is_free, running

SERVER = re.compile(r"^ +server (?:instance-\d+ )?127\.0\.0\.1:(\d+)", re.MULTILINE)
"""An instance, in the one file and in the other."""

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


def ports_of(files: Mapping[str, str]) -> list[int]:
    (text,) = files.values()
    return [int(port) for port in SERVER.findall(text)]


class BalancerContract(ExporterContract):
    settings = ("listen=1",)

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        ports = ports_of(files)
        assert ports == list(range(ports[0], ports[0] + len(ports)))
        return [Started() for _ in ports]

    def can_express(self, launch: Launch) -> bool:
        return launch.instances[0].port not in (None, 1)


class TestNginxExporter(BalancerContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return NginxExporter()


class TestHaproxyExporter(BalancerContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return HaproxyExporter()


BALANCERS: Sequence[tuple[Exporter, ExportOptions]] = [
    (NginxExporter(), NginxOptions()),
    (HaproxyExporter(), HaproxyOptions()),
]
of_both = pytest.mark.parametrize(("exporter", "options"), BALANCERS, ids=["nginx", "haproxy"])


@of_both
def test_the_ports_are_the_instances_and_no_command_is_needed(
    exporter: Exporter, options: ExportOptions
) -> None:
    launch = launch_for(exporter, build_plan(build_commands(3)), None)
    exported = export(exporter, launch, options)
    own = {path: text for path, text in exported.files.items() if path != "plan.json"}
    assert ports_of(own) == [8000, 8001, 8002]
    assert [loss.part for loss in exported.losses] == ["environment", "cpus", "memory_nodes"]


@of_both
def test_a_port_that_an_instance_listens_on_is_refused(exporter: Exporter, options: ExportOptions) -> None:
    launch = launch_for(exporter, build_plan(build_commands(3)), None)
    with pytest.raises(ExportError, match="port 8001 is that of instance 1"):
        exporter.render(launch, options.model_copy(update={"listen": 8001}))
    elsewhere = options.model_copy(update={"listen": 8001, "host": "encoder.internal"})
    assert exporter.render(launch, elsewhere).files


@of_both
@pytest.mark.parametrize("setting", ["host=a b", "host=a;b", "name=a{b", "listen=0", "listen=70000", "name="])
def test_names_that_would_break_the_file_are_refused(
    exporter: Exporter, options: ExportOptions, setting: str
) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(ExportError, match=re.escape(f"--set {name}={value!r} is not")):
        read_options(exporter, [setting])


@of_both
def test_a_command_that_asks_for_no_port_is_refused(exporter: Exporter, options: ExportOptions) -> None:
    launch = launch_for(exporter, build_plan(), LaunchSpec(command=("run", "{instance}")))
    with pytest.raises(ExportError, match=r"its command has no \{port\}"):
        exporter.render(launch, options)


def balanced(exporter: Exporter, options: ExportOptions, folder: Path, balancer: list[str]) -> None:
    """Start two servers and the balancer, ask it until both have answered, and see that nothing is left."""
    first = free_ports(3)
    launch = answering(2, port=first + 1)
    files = exporter.render(launch, options.model_copy(update={"listen": first})).files
    for path, text in files.items():
        (folder / path).write_text(text)
    with running([instance.argv for instance in launch.instances]) as servers:
        for instance in launch.instances:
            assert instance.port is not None
            asked(instance.port)
        checked = subprocess.run(
            [*balancer, *CHECKS[exporter.name]], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        with running([balancer], stderr=subprocess.DEVNULL):
            seen = {asked(first)["pid"] for _ in range(8)}
        assert seen == {server.pid for server in servers}
    assert all(is_free(port) for port in range(first, first + 3))


CHECKS = {"nginx": ["-t"], "haproxy": ["-c"]}


@needs_nginx
def test_nginx_asks_both_instances(tmp_path: Path) -> None:
    main = tmp_path / "nginx.conf"
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main.write_text(
        f"daemon off;\npid {tmp_path}/pid;\nerror_log stderr;\nworker_processes 2;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}include {tmp_path}/autotune.conf;\n}}\n"
    )
    balanced(NginxExporter(), NginxOptions(), tmp_path, [str(NGINX), "-p", str(tmp_path), "-c", str(main)])


@needs_haproxy
@pytest.mark.parametrize(
    "options", [HaproxyOptions(), HaproxyOptions(health="/", maxconn=1)], ids=["plain", "limited"]
)
def test_haproxy_asks_both_instances(tmp_path: Path, options: HaproxyOptions) -> None:
    balanced(
        HaproxyExporter(), options, tmp_path, [str(HAPROXY), "-db", "-f", str(tmp_path / "autotune.cfg")]
    )
