"""A software bill of materials beside the image: a CycloneDX document, as reproducible as the image.

It describes the project, with every file that no other component provides; each mip package with its files; the base
with those of its files that stay; and the compiler among the tools. It has neither a time nor a serial number, because
the same image has the same document.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from hatch_romfs.builder.inventory import compiler_release, file_facts
from hatch_romfs.collect.manifest import locked_packages
from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.formats import MAGICS, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.paths import encode_name, show_name
from hatch_romfs.settings.project import load
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cyclonedx.model import HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from packageurl import PackageURL

    from hatch_romfs.builder.jobs import Job
    from hatch_romfs.collect.manifest import PackageFacts
    from hatch_romfs.formats.image import Image
    from hatch_romfs.tree import Directory, File

# cyclonedx-python-lib is an extra, and takes longer to import than a small build.
# ruff: noqa: PLC0415

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
START: Final = f'{{\n  "$schema": "{_SCHEMA}",\n  "bomFormat": "CycloneDX",\n'.encode()
"""The first bytes of a document."""
_ORDER = ("$schema", "bomFormat", "specVersion", "version", "metadata", "components", "dependencies")
_MAX_NESTED = 4
"""Images inside one another whose files are listed."""
_PROJECT, _BASE = "project", "base"
"""References of components; those of others contain a colon."""


def check_installed(key: str) -> None:
    """Raise SettingsError if the library is missing that the setting ``key`` needs."""
    try:
        import cyclonedx  # noqa: F401
    except ImportError:
        raise SettingsError(
            f"{key} needs the package cyclonedx-python-lib",
            hint='Install it: pip install "hatch-romfs[sbom]". `build-system.requires` needs "hatch-romfs[sbom]" too.',
        ) from None


def describe(image: Image, tree: Directory, job: Job) -> bytes:
    """Return the document of an image that was built from ``tree``; names that are not UTF-8 have escapes."""
    from cyclonedx.output.json import JsonV1Dot6

    document = json.loads(JsonV1Dot6(_bom(image, tree, job)).output_as_string())
    document["metadata"].pop("timestamp", None)
    ordered = {key: document[key] for key in _ORDER if key in document}
    return f"{json.dumps(ordered, indent=2, ensure_ascii=False)}\n".encode()


def _bom(image: Image, tree: Directory, job: Job) -> Bom:
    from cyclonedx.model.bom import Bom

    sources = dict(files(tree))
    groups: defaultdict[str, list[Component]] = defaultdict(list)
    for path, facts in file_facts(image).items():
        file = sources[path]
        owner = file.package or (_BASE if file.layer == "base" else _PROJECT)
        groups[owner].append(_file_component(image, path, file, str(facts["sha256"])))
    project = _project_component(image, job)
    packages = {
        package: _package_component(package, groups[package.title], tree)
        for package in locked_packages(job.settings, job.root)
    }
    own = [*([_base_component(job, groups[_BASE])] if job.settings.base else ()), *groups[_PROJECT]]
    bom = Bom(metadata=_metadata(project, sources.values()), components=[*packages.values(), *own])
    bom.dependencies = _dependencies(project, packages, own)
    return bom


def _metadata(project: Component, sources: Iterable[File]) -> BomMetaData:
    """Return what the document is about, and the programs that made the image."""
    from cyclonedx.model.bom import BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
    from cyclonedx.model.tool import ToolRepository
    from packageurl import PackageURL

    tools = {"hatch-romfs": version("hatch-romfs")}
    if release := compiler_release(sources):
        tools["mpy-cross"] = release
    programs = [
        Component(
            name=name,
            version=number,
            type=ComponentType.APPLICATION,
            bom_ref=f"tool:{name}",
            purl=PackageURL("pypi", name=name, version=version(name)),
        )
        for name, number in tools.items()
    ]
    return BomMetaData(
        component=project,
        tools=ToolRepository(components=programs),
        lifecycles=[PredefinedLifecycle(phase=LifecyclePhase.BUILD)],
    )


def _project_component(image: Image, job: Job) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    metadata = (load(job.root) or {}).get("project", {}) if job.name else {}
    return Component(
        name=job.name or show_name(job.out.name),
        version=job.version,
        type=ComponentType.FIRMWARE,
        bom_ref=_PROJECT,
        description=_text(metadata.get("description")),
        licenses=_licenses([_text(metadata.get("license"))]),
        hashes=[_sha256(image.sha256())],
    )


def _text(value: object) -> str | None:
    """Return a value of ``[project]``, which the build backend checks, if it is a string."""
    return value if isinstance(value, str) and value else None


def _package_component(package: PackageFacts, installed: list[Component], tree: Directory) -> Component:
    """Return a mip package with its files: as they are in the image, and as they were downloaded."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
    from cyclonedx.model.component import Component, ComponentType

    downloads = [
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url), comment=target, hashes=[_sha256(sha256)]
        )
        for target, url, sha256 in package.downloads
    ]
    return Component(
        name=package.name,
        version=package.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=f"package:{package.title}",
        purl=_package_url(package),
        licenses=_licenses(file.license for _, file in files(tree) if file.package == package.title),
        external_references=downloads,
        components=installed,
    )


def _package_url(package: PackageFacts) -> PackageURL:
    """Return the package URL of a mip package: of its repository, its address, or its name in an index."""
    from packageurl import PackageURL

    kind, _, rest = package.name.partition(":")
    number = package.version or None
    name = re.sub(r"\.(json|m?py)$", "", rest.partition("?")[0].rstrip("/").rpartition("/")[2]) or "package"
    match kind:
        case "github" | "gitlab":
            owner, repository, *path = rest.split("/")
            return PackageURL(kind, owner, repository, number, subpath="/".join(path) or None)
        case "codeberg":
            address = f"git+https://codeberg.org/{'/'.join(rest.split('/')[:2])}"
            qualifiers = {"vcs_url": f"{address}@{number}" if number else address}
            return PackageURL("generic", name=name, version=number, qualifiers=qualifiers)
        case "http" | "https":
            return PackageURL("generic", name=name, qualifiers={"download_url": package.name})
        case "file":
            return PackageURL("generic", name=name)
        case _:
            qualifiers = {"repository_url": package.index_url}
            return PackageURL("generic", name=package.name, version=number, qualifiers=qualifiers)


def _base_component(job: Job, components: list[Component]) -> Component:
    """Return the base, with those of its files that stay."""
    from cyclonedx.model.component import Component, ComponentType

    path = job.root / str(job.settings.base)
    with open_image(path) as image:
        return Component(
            name=(image.name if image.format == "micropython" else None) or path.name,
            version=image.version,
            type=ComponentType.FIRMWARE,
            bom_ref=_BASE,
            description="The image below the sources of the project",
            hashes=[_sha256(image.sha256())],
            properties=_properties(source=job.settings.base),
            components=components,
        )


def _file_component(image: Image, path: str, file: File, sha256: str) -> Component:
    """Return a file of the image; one that is an image itself contains its files."""
    from cyclonedx.model.component import Component, ComponentType

    release = compiler_release([file])
    compiler = f"mpy-cross {release}" if release else None
    return Component(
        name=show_name(path),
        type=ComponentType.FILE,
        bom_ref=_reference(path),
        hashes=[_sha256(sha256)],
        properties=_properties(**{"from": file.layer, "source": file.source, "compiler": compiler}),
        components=_nested_components(image, path, image_content(image.file(path)).span, 1),
    )


def _nested_components(image: Image, path: str, span: tuple[int, int], depth: int) -> Iterator[Component]:
    """Yield the files of an image inside the image, if these bytes are one."""
    from cyclonedx.model.component import Component, ComponentType

    data = image.view[slice(*span)] if span[1] - span[0] >= len(MAGICS["micropython"]) else b""
    if depth > _MAX_NESTED or bytes(data[: len(MAGICS["micropython"])]) != MAGICS["micropython"]:
        return
    from hatch_romfs.formats.micropython.image import RomImage

    try:
        inner = RomImage(bytes(data))
    except ImageError:
        return
    with inner:
        for name, facts in file_facts(inner).items():
            inside = f"{path}!/{name}"
            yield Component(
                name=name,
                type=ComponentType.FILE,
                bom_ref=_reference(inside),
                hashes=[_sha256(str(facts["sha256"]))],
                components=_nested_components(inner, inside, image_content(inner.file(name)).span, depth + 1),
            )


def _dependencies(
    project: Component, packages: Mapping[PackageFacts, Component], own: Iterable[Component]
) -> list[Dependency]:
    """Return what the project needs, and what each package needs."""
    from cyclonedx.model.dependency import Dependency

    def dependency(component: Component, needs: Iterable[Component]) -> Dependency:
        return Dependency(component.bom_ref, (Dependency(need.bom_ref) for need in needs))

    by_title = {package.title: component for package, component in packages.items()}
    direct = [component for package, component in packages.items() if package.is_direct]
    return [
        dependency(project, [*direct, *own]),
        *(dependency(found, [by_title[title] for title in package.needs]) for package, found in packages.items()),
        *(dependency(component, ()) for component in own),
    ]


def _licenses(stated: Iterable[str | None]) -> list[DisjunctiveLicense | LicenseExpression]:
    """Return the licenses that are stated, as one expression; what SPDX does not know is left out."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import is_expression, is_supported_id

    found = sorted({text for text in stated if text and is_expression(text)})
    if len(found) == 1 and is_supported_id(found[0]):
        return [DisjunctiveLicense(id=found[0])]
    whole = " AND ".join(f"({text})" if len(found) > 1 and " " in text else text for text in found)
    return [LicenseExpression(whole)] if found else []


def _properties(**values: str | None) -> list[Property]:
    from cyclonedx.model import Property

    given = {name: show_name(value) for name, value in values.items() if value is not None}
    return [Property(name=f"hatch-romfs:{name}", value=value) for name, value in given.items()]


def _reference(path: str) -> str:
    """Return the reference of a file: every path has one of its own, also if it is not UTF-8."""
    return f"file:{quote(encode_name(path), safe='/!')}"


def _sha256(digest: str) -> HashType:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
