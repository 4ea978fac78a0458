"""Inspect the wheel and the sdist in a folder: python inspect_dist.py FOLDER."""

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Names of caches, build outputs and editors' files, which belong in neither.
UNWANTED = re.compile(
    r"(^|/)(__pycache__|_build|auto_examples|dist|output|[^/]*venv[^/]*|\.[^/]*_cache|\.git)/|\.pyc$|~$"
)


def tracked(*folders):
    """Return the files of the repository in the given folders."""
    listed = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


def check(condition, message):
    if not condition:
        sys.exit(f"inspect_dist: {message}")


def check_equal(found, wanted, what):
    check(found == wanted, f"{what}: missing {sorted(wanted - found)}, unexpected {sorted(found - wanted)}")


def check_wheel(path, version):
    """Check that a wheel holds the package, its license and nothing else, and return its size."""
    check(path.name == f"skae-{version}-py3-none-any.whl", f"{path.name} is not the pure wheel of version {version}")
    info = f"skae-{version}.dist-info"
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
        check_equal(
            names,
            tracked("skae") | {f"{info}/{n}" for n in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")},
            path.name,
        )
        check(wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes(), "the license differs")
    check(metadata["Version"] == version, f"the metadata say version {metadata['Version']}")
    check(metadata["License-Expression"] == "BSD-3-Clause", "the metadata have no license expression")
    links = re.findall(r"\]\(([^)\s]+)", metadata.get_payload())
    relative = [link for link in links if not link.startswith(("https://", "#"))]
    check(not relative, f"the description has relative links: {relative}")


def check_sdist(path, version):
    """Check that an sdist holds what is needed to build, to test and to build the site, and no caches."""
    root = f"skae-{version}/"
    with tarfile.open(path) as sdist:
        names = {member.name.removeprefix(root) for member in sdist if member.isfile()}
    wanted = tracked("skae", "tests", "examples", "docs", ".ci", ".conda", ".github") | {
        "CITATION.cff", "LICENSE", "Makefile", "README.md", "SECURITY.md", "constraints.txt", "pyproject.toml"
    }  # fmt: skip
    check_equal(names - {"PKG-INFO", ".gitignore", ".readthedocs.yaml"}, wanted, path.name)


def main(folder):
    version = re.search(r'__version__ = "(.+)"', (ROOT / "skae" / "_version.py").read_text())[1]
    wheel, sdist = sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True)
    check_wheel(wheel, version)
    check_sdist(sdist, version)
    print(f"{wheel.name}: {wheel.stat().st_size / 1e3:.0f} kB, {sdist.name}: {sdist.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
