# SPDX-License-Identifier: Apache-2.0
"""Write what a wheel contains and links to, as CycloneDX 1.5.

    python scripts/make_sbom.py dist/fast_axolotl-*.whl

The bill is written beside the wheel as ``<wheel>.cdx.json`` and, with the licences of
what is bundled, into the wheel's ``.dist-info``. Versions are those of the headers and
packages that the build saw, so it runs where the wheel was built, on Linux, with the
compiler and binutils. A library that ``LIBRARIES`` does not know is an error: whoever
links one writes its line there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import uuid
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
PROPERTY = "fast-axolotl"
LICENCE = "License-Expression:"
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"

# How a component comes to a process.
COMPILED_IN = "compiled into the module"
BUNDLED = "shared library in the wheel"
SYSTEM = "shared library of the system"
# libparquet exports the simdjson that it was built with, and comes first.
HEADERS = "headers at build time; libparquet brings what they declare"


@dataclass(frozen=True)
class Library:
    """A shared library that the module may be linked to.

    Attributes:
        name: What others call the project.
        files: The names of its libraries, without ``.so`` and what follows.
        licence: An SPDX expression.
        header: What states its version; empty where the system brings the library.
        version: That version as an expression of the header's macros.
    """

    name: str
    files: tuple[str, ...]
    licence: str
    header: str = ""
    version: str = ""


LIBRARIES = (
    Library("simdjson", ("libsimdjson",), "Apache-2.0 AND BSD-3-Clause AND MIT",
            "simdjson.h", "SIMDJSON_VERSION"),
    Library("isa-l", ("libisal",), "BSD-3-Clause", "isa-l.h",
            "ISAL_MAJOR_VERSION.ISAL_MINOR_VERSION.ISAL_PATCH_VERSION"),
    Library("zstd", ("libzstd",), "BSD-3-Clause OR GPL-2.0-only", "zstd.h",
            "ZSTD_VERSION_MAJOR.ZSTD_VERSION_MINOR.ZSTD_VERSION_RELEASE"),
    Library("zlib", ("libz",), "Zlib", "zlib.h", "ZLIB_VERSION"),
    Library("pyarrow", ("libarrow", "libparquet"), "Apache-2.0"),
    Library("libstdc++", ("libstdc++",), GCC),
    Library("libgcc", ("libgcc_s",), GCC),
    Library("glibc", ("libc", "libm", "libdl", "librt", "libpthread", "ld-linux-x86-64",
                      "ld-linux-aarch64"), "LGPL-2.1-or-later"),
)  # fmt: skip


def component_of(soname: str) -> Library:
    """Return whose library it is, with or without the hash that auditwheel puts in.

    Raises:
        LookupError: ``LIBRARIES`` does not know it.
    """
    stem = re.sub(r"-[0-9a-f]{8}$", "", soname.partition(".so")[0])
    for library in LIBRARIES:
        if stem in library.files:
            return library
    raise LookupError(f"{soname} is in no line of LIBRARIES in {Path(__file__).name}")


# --- what was built -------------------------------------------------------------------


def readelf(option: str, path: Path) -> str:
    command = ["readelf", "-W", option, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def needed(path: Path) -> list[str]:
    """Return the sonames that a shared object asks the loader for."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-d", path))


def symbol_versions(path: Path) -> dict[str, set[str]]:
    """Return, for each soname, the versions of symbols that are asked of it."""
    found: dict[str, set[str]] = {}
    section = readelf("-V", path).partition("Version needs section")[2]
    versions: set[str] = set()
    for line in section.splitlines():
        if file := re.search(r"File: (\S+)", line):
            versions = found.setdefault(file[1], set())
        elif name := re.search(r"Name: (\S+)", line):
            versions.add(name[1])
    return found


def newest(versions: set[str]) -> str:
    """Return the newest of versions such as ``GLIBC_2.34``, empty if there are none."""

    def key(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version)]

    return max(versions, key=key, default="")


def header_versions() -> dict[str, str]:
    """Return the versions of the libraries whose headers the compiler finds."""
    known = [library for library in LIBRARIES if library.header]
    text = "".join(f"#include <{library.header}>\n" for library in known)
    text += "".join(f"\nVERSION {library.name} {library.version}\n" for library in known)
    done = subprocess.run(
        ["c++", "-std=c++20", "-E", "-P", "-x", "c++", "-"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = re.findall(r"^VERSION (\S+) (.+)$", done.stdout, re.MULTILINE)
    return {name: re.sub(r'[\s"]', "", version) for name, version in lines}


def debian_package(soname: str) -> dict[str, str]:
    """Return package, version and architecture of a library, empty if there is none."""
    cache = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False
    ).stdout
    path = re.search(rf"^\s*{re.escape(soname)} .* => (\S+)$", cache, re.MULTILINE)
    if path is None or shutil.which("dpkg-query") is None:
        return {}
    for name in {path[1], path[1].removeprefix("/usr"), str(Path(path[1]).resolve())}:
        done = subprocess.run(
            ["dpkg-query", "-S", name], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            package = done.stdout.split(": ")[0]
            shown = subprocess.run(
                ["dpkg-query", "-W", "-f", "${Package}\n${Version}\n${Architecture}",
                 package],
                capture_output=True, text=True, check=True,
            ).stdout.splitlines()  # fmt: skip
            return dict(zip(("name", "version", "architecture"), shown, strict=True))
    return {}


# --- the bill -------------------------------------------------------------------------


def component(name: str, licence: str, **more: Any) -> dict[str, Any]:
    properties = more.pop("properties", {})
    made = {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "licenses": [{"expression": licence}],
        **{key: value for key, value in more.items() if value},
    }
    made["properties"] = [
        {"name": f"{PROPERTY}:{key}", "value": value}
        for key, value in properties.items()
        if value
    ]
    return made


def robin_map_header() -> Path:
    spec = find_spec("nanobind")
    if spec is None or spec.origin is None:
        raise LookupError("nanobind is not installed where this runs")
    folder = Path(spec.origin).parent / "ext/robin_map/include/tsl"
    return folder / "robin_map.h"


def compiled_in() -> list[dict[str, Any]]:
    """Return what was compiled into the module from others' sources."""
    growth = (robin_map_header().parent / "robin_growth_policy.h").read_text()
    robin = ".".join(re.findall(r"define TSL_RH_VERSION_\w+ (\d+)", growth))
    nanobind = metadata.version("nanobind")
    static = {"linkage": COMPILED_IN}
    return [
        component("nanobind", "BSD-3-Clause", version=nanobind,
                  purl=f"pkg:pypi/nanobind@{nanobind}", properties=static),
        component("robin-map", "MIT", version=robin,
                  purl=f"pkg:github/tessil/robin-map@v{robin}", properties=static),
    ]  # fmt: skip


def linked(objects: dict[str, Path], requirements: list[str]) -> list[dict[str, Any]]:
    """Return the libraries that the shared objects, by their names in a wheel, need."""
    # Those with headers count even where the linker has found nothing to take from them.
    found = (library for library in LIBRARIES if library.header)
    sonames: dict[Library, set[str]] = {library: set() for library in found}
    symbols: dict[Library, set[str]] = {}
    for path in objects.values():
        for soname in needed(path):
            sonames.setdefault(component_of(soname), set()).add(soname)
        for soname, versions in symbol_versions(path).items():
            symbols.setdefault(component_of(soname), set()).update(versions)
    headers = header_versions()
    bundled = {Path(name).name: name for name in objects}
    components = []
    for library in sorted(sonames, key=lambda library: library.name):
        names = sorted(sonames[library])
        inside = [bundled[name] for name in names if name in bundled]
        properties = {"sonames": " ".join(names), "files": " ".join(inside)}
        more: dict[str, Any] = {"properties": properties}
        if library.name == "pyarrow":
            version = metadata.version("pyarrow")
            more |= {"version": version, "purl": f"pkg:pypi/pyarrow@{version}"}
            properties["requirement"] = requirement_of("pyarrow", requirements)
        if library.header:
            more |= described(library, names, headers[library.name], properties)
        properties["linkage"] = linkage(library, names, inside)
        if names and not inside:
            properties["newest symbol version"] = newest(symbols.get(library, set()))
        more["hashes"] = [
            {"alg": "SHA-256", "content": sha256(objects[name])} for name in inside
        ]
        components.append(component(library.name, library.licence, **more))
    return components


def linkage(library: Library, sonames: list[str], inside: list[str]) -> str:
    if library.name == "pyarrow":
        return "installed with pyarrow, not bundled"
    if not sonames:
        return HEADERS
    return BUNDLED if inside else SYSTEM


def described(
    library: Library, sonames: list[str], version: str, properties: dict[str, str]
) -> dict[str, str]:
    """Return version and package URL of a library that the build machine brought."""
    if not sonames:
        return {"version": version, "purl": f"pkg:generic/{library.name}@{version}"}
    plain = re.sub(r"-[0-9a-f]{8}(?=\.so)", "", sonames[0])
    package = debian_package(plain) or debian_package(
        re.sub(r"(\.so\.\d+).*", r"\1", plain)
    )
    if not package:
        return {"version": version, "purl": f"pkg:generic/{library.name}@{version}"}
    properties["Debian package"] = f"{package['name']} {package['version']}"
    # A colon, as that of an epoch, stays what it is in a package URL.
    purl_version = quote(package["version"], safe=":")
    return {
        "version": version,
        "purl": f"pkg:deb/debian/{package['name']}@{purl_version}"
        f"?arch={package['architecture']}",
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def requirement_of(name: str, requirements: list[str]) -> str:
    return next((r for r in requirements if name_of(r) == name), "")


def make_sbom(objects: dict[str, Path], requirements: list[str]) -> dict[str, Any]:
    """Return the bill of a set of shared objects, by their names in a wheel.

    Args:
        objects: The module, and the libraries that are bundled with it.
        requirements: What the package asks of pip, without extras.

    Raises:
        LookupError: A library is linked that ``LIBRARIES`` does not know.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = project["version"]
    parts = compiled_in() + linked(objects, requirements)
    known = {part["name"] for part in parts}
    parts += [
        # The licence stands in its own metadata: it is not ours to distribute.
        {
            "type": "library",
            "bom-ref": name_of(requirement),
            "name": name_of(requirement),
            "purl": f"pkg:pypi/{name_of(requirement)}",
            "properties": [{"name": f"{PROPERTY}:requirement", "value": requirement}],
        }
        for requirement in requirements
        if name_of(requirement) not in known
    ]
    content = "".join(sha256(path) for path in objects.values()) + json.dumps(parts)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # The same content has the same number: two builds can be compared.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": project["name"],
                "name": project["name"],
                "version": version,
                "purl": f"pkg:pypi/{project['name']}@{version}",
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": parts,
        "dependencies": [
            {"ref": project["name"], "dependsOn": [part["bom-ref"] for part in parts]},
            {"ref": "nanobind", "dependsOn": ["robin-map"]},
        ],
    }


# --- the wheel ------------------------------------------------------------------------


def licence_text(part: dict[str, Any]) -> bytes:
    """Return the licence of something that a wheel contains.

    Raises:
        LookupError: It is not where the package that brought it should have put it.
    """
    name = part["name"]
    properties = {p["name"].split(":")[1]: p["value"] for p in part["properties"]}
    if name == "nanobind":
        for file in metadata.files("nanobind") or ():
            if Path(file).name == "LICENSE":
                return Path(str(file.locate())).read_bytes()
    if name == "robin-map":
        return robin_map_header().read_bytes().partition(b"*/")[0] + b"*/\n"
    if package := properties.get("Debian package", "").partition(" ")[0]:
        text = Path("/usr/share/doc") / package / "copyright"
        if text.is_file():
            return text.read_bytes()
    raise LookupError(f"the licence of {name} was not found")


def is_inside(part: dict[str, Any]) -> bool:
    """Whether a wheel contains the component, rather than asking others for it."""
    return any(p["value"] in (COMPILED_IN, BUNDLED) for p in part["properties"])


def all_licences(bill: dict[str, Any]) -> str:
    """Return the licences of all that a wheel contains as one SPDX expression."""
    parts = [bill["metadata"]["component"], *filter(is_inside, bill["components"])]
    found = [part["licenses"][0]["expression"] for part in parts]
    each = dict.fromkeys(f"({text})" if " OR " in text else text for text in found)
    return " AND ".join(each)


def add_to_wheel(wheel: Path, added: dict[str, bytes], headers: list[str]) -> None:
    """Write the wheel anew, with more files and more lines of metadata.

    Its licence is to be among the lines.
    """
    with zipfile.ZipFile(wheel) as old:
        entries = [(info, old.read(info)) for info in old.infolist()]
    record = next(info for info, _ in entries if info.filename.endswith("/RECORD"))
    lines = []
    fresh = wheel.with_suffix(".new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as new:

        def put(info: zipfile.ZipInfo, data: bytes) -> None:
            new.writestr(info, data, zipfile.ZIP_DEFLATED)
            if info.is_dir():
                return
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            entry = f"sha256={digest.decode().rstrip('=')},{len(data)}"
            lines.append(f"{info.filename},{entry}\n")

        for info, data in entries:
            if info.filename == record.filename or info.filename in added:
                continue
            if info.filename.endswith(".dist-info/METADATA"):
                head, blank, body = data.partition(b"\n\n")
                fields = head.decode().splitlines()
                kept = [line for line in fields if not line.startswith(LICENCE)]
                put(info, "\n".join([*kept, *headers]).encode() + blank + body)
            else:
                put(info, data)
        for name, data in added.items():
            info = zipfile.ZipInfo(name, record.date_time)
            info.external_attr = 0o644 << 16
            put(info, data)
        lines.append(f"{record.filename},,\n")
        new.writestr(record, "".join(lines), zipfile.ZIP_DEFLATED)
    fresh.replace(wheel)


def finish(wheel: Path) -> Path:
    """Put the bill and the licences into a wheel, and the bill beside it."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        info = next(n for n in names if n.endswith(".dist-info/METADATA"))
        head = HeaderParser().parsestr(archive.read(info).decode())
        all_asked = [str(value) for value in head.get_all("Requires-Dist", [])]
        requirements = [value for value in all_asked if "extra ==" not in value]
        shared = [n for n in names if re.search(r"\.so(\.|$)", n)]
        objects = {n: Path(archive.extract(n, folder)) for n in shared}
        bill = make_sbom(objects, requirements)
    dist_info = info.rpartition("/")[0]
    text = json.dumps(bill, indent=2) + "\n"
    licences = {
        f"third-party/{part['name']}.txt": licence_text(part)
        for part in bill["components"]
        if is_inside(part)
    }
    headers = [f"License-File: {name}" for name in licences]
    headers = [line for line in headers if line not in head.as_string()]
    headers.append(f"{LICENCE} {all_licences(bill)}")
    added = {f"{dist_info}/licenses/{name}": data for name, data in licences.items()}
    added[f"{dist_info}/sboms/fast-axolotl.cdx.json"] = text.encode()
    add_to_wheel(wheel, added, headers)
    beside = wheel.with_name(wheel.name + ".cdx.json")
    beside.write_text(text)
    return beside


def main() -> None:
    for name in sys.argv[1:] or sys.exit(__doc__):
        print(finish(Path(name)))


if __name__ == "__main__":
    main()
