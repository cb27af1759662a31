# SPDX-License-Identifier: Apache-2.0
"""What the package is made of, and what checks it, is known exactly."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import check_wheel
import make_sbom
import pytest

from fast_axolotl import _core

ROOT = Path(__file__).parents[1]
MODULE = Path(_core.__file__)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = ["requirements-build.txt", "requirements-dev.txt"]

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="ELF files and readelf are Linux's"
)


@pytest.fixture(scope="module")
def bill():
    pytest.importorskip("nanobind")
    return make_sbom.make_sbom(
        {f"fast_axolotl/{MODULE.name}": MODULE}, PROJECT["dependencies"]
    )


def names_in(bill):
    return {part["name"] for part in bill["components"]}


def properties(bill, name):
    part = next(part for part in bill["components"] if part["name"] == name)
    return {p["name"].partition(":")[2]: p["value"] for p in part["properties"]}


# --- the bill of materials ------------------------------------------------------------


@linux
def test_the_bill_names_all_that_the_loader_loads(bill):
    said = subprocess.run(["ldd", MODULE], capture_output=True, text=True, check=True)
    loaded = re.findall(r"^\s*(?:\S*/)?(\S+\.so\S*) ", said.stdout, re.MULTILINE)
    loaded = [name for name in loaded if not name.startswith("linux-vdso")]
    assert len(loaded) > 5
    assert {make_sbom.component_of(name).name for name in loaded} <= names_in(bill)


@linux
def test_the_bill_names_all_that_the_linker_was_given(bill):
    ninja = ROOT / "build/dev/build.ninja"
    if not ninja.is_file():
        pytest.skip("the module was not built by ./dev")
    text = ninja.read_text()
    start = text.index(f"{MODULE.name}: CXX_MODULE_LIBRARY_LINKER")
    line = re.search(r"^  LINK_LIBRARIES = (.*)$", text[start:], re.MULTILINE)[1]
    static = re.findall(r"(\S+)\.a(?: |$)", line)
    ours = {"libnanobind-static": "nanobind", "libfast_axolotl_core": "fast-axolotl"}
    assert {ours[Path(name).name] for name in static} == {"nanobind", "fast-axolotl"}
    shared = [Path(name).name for name in re.findall(r"\S+\.so\S*", line)]
    assert len(shared) >= 6
    assert {make_sbom.component_of(name).name for name in shared} <= names_in(bill)


@linux
def test_versions_are_those_of_what_is_installed(bill):
    from importlib import metadata

    versions = {part["name"]: part.get("version", "") for part in bill["components"]}
    assert versions["nanobind"] == metadata.version("nanobind")
    assert versions["pyarrow"] == metadata.version("pyarrow")
    for name in ("simdjson", "isa-l", "zstd", "zlib", "robin-map"):
        assert re.fullmatch(r"\d+(\.\d+)+", versions[name]), name
    assert properties(bill, "glibc")["newest symbol version"].startswith("GLIBC_2.")
    assert "libarrow" in properties(bill, "pyarrow")["sonames"]


@linux
def test_the_bill_is_cyclonedx_and_refers_to_itself_only(bill):
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == (
        "CycloneDX",
        "1.5",
        1,
    )
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bill["serialNumber"])
    known = [part["bom-ref"] for part in bill["components"]]
    assert len(known) == len(set(known))
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == (PROJECT["name"], PROJECT["version"])
    used = {ref for entry in bill["dependencies"] for ref in entry["dependsOn"]}
    assert used == set(known)
    for requirement in PROJECT["dependencies"]:
        name = re.match(r"[\w-]+", requirement)[0]
        assert properties(bill, name)["requirement"] == requirement


@linux
def test_the_bill_is_what_the_schema_of_its_version_asks_for(bill):
    assert check_wheel.faults_of_bill(json.dumps(bill)) == []
    (fault,) = check_wheel.faults_of_bill(json.dumps(bill | {"extra": 1}))
    assert fault.startswith("$: ")
    assert "extra" in fault


@linux
def test_package_urls_are_written_as_their_specification_writes_them(monkeypatch):
    package = {"name": "zlib1g", "version": "1:1.2.13+x~1", "architecture": "amd64"}
    monkeypatch.setattr(make_sbom, "debian_package", lambda soname: package)
    zlib = make_sbom.component_of("libz.so.1")
    url = make_sbom.described(zlib, ["libz.so.1"], "1.2.13", {})["purl"]
    assert url == "pkg:deb/debian/zlib1g@1:1.2.13%2Bx~1?arch=amd64"


def test_an_unknown_library_is_no_surprise_of_a_release():
    assert make_sbom.component_of("libzstd-37412b7a.so.1.5.4").name == "zstd"
    assert make_sbom.component_of("ld-linux-x86-64.so.2").name == "glibc"
    with pytest.raises(LookupError, match="libevil"):
        make_sbom.component_of("libevil.so.1")


@linux
def test_a_wheel_gets_its_bill_and_the_licences_of_what_it_contains(tmp_path):
    pytest.importorskip("nanobind")
    info = "fast_axolotl-1.dist-info"
    wheel = tmp_path / "fast_axolotl-1-cp311-cp311-linux_x86_64.whl"
    head = "Metadata-Version: 2.4\nName: fast-axolotl\nVersion: 1\n"
    head += "License-Expression: Apache-2.0\nLicense-File: LICENSE\n"
    head += "Requires-Dist: pyarrow<26.1,>=26.0\nRequires-Dist: x>=1; extra == 'y'\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("fast_axolotl/", "")
        archive.write(MODULE, f"fast_axolotl/{MODULE.name}")
        archive.writestr(f"{info}/METADATA", head + "\nThe read me.\n")
        archive.writestr(f"{info}/RECORD", "")
    for _ in range(2):  # once more changes nothing
        beside = make_sbom.finish(wheel)
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files[f"{info}/sboms/fast-axolotl.cdx.json"] == beside.read_bytes()
    assert "x" not in names_in(json.loads(beside.read_text()))
    licence = files[f"{info}/licenses/third-party/nanobind.txt"].decode()
    assert "Wenzel Jakob" in licence
    assert "MIT License" in files[f"{info}/licenses/third-party/robin-map.txt"].decode()
    metadata = files[f"{info}/METADATA"].decode()
    assert metadata.endswith("\n\nThe read me.\n")
    assert metadata.count("License-File: third-party/nanobind.txt\n") == 1
    assert "License-Expression: Apache-2.0 AND BSD-3-Clause AND MIT\n" in metadata
    assert metadata.count("License-Expression:") == 1
    record = files[f"{info}/RECORD"].decode().splitlines()
    recorded = [line.split(",")[0] for line in record]
    assert sorted(recorded) == sorted(name for name in files if not name.endswith("/"))
    for line in record[:-1]:
        name, digest, size = line.split(",")
        assert digest == f"sha256={record_hash(files[name])}"
        assert int(size) == len(files[name])


def record_hash(data):
    import base64
    import hashlib

    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


# --- what checks the package ----------------------------------------------------------


def requirements_in(path):
    text = path.read_text().replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def named(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("name", LOCKED)
def test_what_checks_install_is_known_to_the_byte(name):
    requirements = requirements_in(ROOT / name)
    assert requirements
    for line in requirements:
        assert re.match(r"[\w.\[\]-]+==[\w.]+\s", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("name", LOCKED)
def test_a_locked_file_holds_what_its_source_asks_for(name):
    asked = requirements_in((ROOT / name).with_suffix(".in"))
    asked = {named(line) for line in asked if not line.startswith("-r")}
    locked = {named(line) for line in requirements_in(ROOT / name)}
    assert asked <= locked


def test_both_locked_files_agree():
    first, second = (
        {named(line): line for line in requirements_in(ROOT / name)} for name in LOCKED
    )
    assert first.items() <= second.items()


def test_optional_packages_and_what_they_bring_have_one_version():
    for name in ("requirements-optional.txt", "constraints-optional.txt"):
        lines = requirements_in(ROOT / name)
        assert lines
        for line in lines:
            assert re.fullmatch(r"[\w.-]+==[\w.+]+(\s*;.*)?", line), line


def test_no_place_to_download_from_is_written_down():
    for path in [*ROOT.glob("*requirements*"), *ROOT.glob("constraints*")]:
        for line in requirements_in(path):
            assert "://" not in line, path
            assert not line.startswith(("-i", "--index", "--extra", "-f", "--find")), path


def test_what_users_need_is_a_range():
    assert PROJECT["dependencies"]
    for line in PROJECT["dependencies"]:
        assert "==" not in line


def test_the_security_policy_names_the_version():
    assert f"`{PROJECT['version']}`" in (ROOT / "SECURITY.md").read_text()
