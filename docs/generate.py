"""Makes what is generated: JSON Schemas, tables of docs/json.md, help in docs/command.md, docs/findings.md, a picture.

    python docs/generate.py              writes what is out of date
    python docs/generate.py --check      only tells, exit code 1 if something is
    python docs/generate.py --picture tests/captures/v2-psk-aescbc-a/wan.pcap    draws docs/summarize.svg

The source of the documents' description is `ipsecanalyze/shapes/`: the text under each field. In the pages
everything between `<!-- generated: WHAT -->` and `<!-- end -->` is replaced.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ipsecanalyze"
DOCUMENTS = {
    "summary": "SummaryDocument",
    "messages": "MessagesDocument",
    "flows": "FlowsDocument",
    "decrypt": "DecryptDocument",
    "diagnosis": "DiagnosisDocument",
    "audit": "AuditDocument",
    "comparison": "ComparisonDocument",
}
SPELLINGS: dict[str, dict[str, Any]] = {
    "Count": {"type": "integer", "minimum": 0},
    "IkeSpi": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    "EspSpi": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
}
PROFILE_TABLES = {
    "version": "version",
    "encryption of IKE": "ike.encryption",
    "PRF": "ike.prf",
    "integrity of IKE": "ike.integrity",
    "key exchange": "key-exchange",
    "encryption of ESP": "esp.encryption",
    "integrity of ESP and AH": "esp.integrity",
    "authentication": "authentication",
    "hash of signatures": "signature-hash",
    "requirement": "requirements",
}
PROFILES_HEAD = """# Profiles of `audit`

Made of `ipsecanalyze/findings/audit/profiles/*.toml` by `python docs/generate.py`. A cell says how the standard stands
to the algorithm, until when, and where that is written. Empty: it does not mention it, or the cell was left out (see
below); "others" is what holds for all that a table does not list. *must-*: wanted still, and expected to be wanted
less; *aging*: allowed, on its way out.

How severe a finding is follows from the cell: *must-not* high (critical where it was broken in practice), *should-not*
medium, *must-* and *aging* low; what was only offered is low at most. Rows with a year hold up to its end, counted by
the time of the capture; then *should-not* (CNSA: *must-not*) holds.
"""
MARKED = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Field = tuple[str, ast.expr, str]


def main() -> int:
    """Write or check everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--picture", metavar="CAPTURE")
    options = parser.parse_args()
    if options.picture:
        draw(options.picture)
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        sys.stdout.write(f"{'out of date' if options.check else 'written'}: {path.relative_to(ROOT)}\n")
        if not options.check:
            path.write_text(generated()[path], "utf-8")
    return 1 if stale and options.check else 0


def generated() -> dict[Path, str]:
    """Each generated file with what it should hold."""
    shapes = read_shapes()
    files = {PACKAGE / f"{name}.schema.json": schema_text(name, root, shapes) for name, root in DOCUMENTS.items()}
    for page in ("json.md", "command.md", "findings.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        files[ROOT / "docs" / page] = MARKED.sub(lambda match: match[1] + section(match[2], shapes) + match[3], text)
    files[ROOT / "docs" / "profiles.md"] = profiles_page()
    return files


def profiles_page() -> str:
    """docs/profiles.md: what each profile of `audit` says of each algorithm, with the clause."""
    folder = PACKAGE / "findings" / "audit" / "profiles"
    profiles = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.toml"))}
    # The default one first.
    profiles = {"rfc": profiles.pop("rfc"), **profiles}
    parts = [PROFILES_HEAD]
    for name, data in profiles.items():
        left_out = " ".join(data["left-out"].split())
        parts.append(
            f"**`{name}`** ({data['date']}): {data['title']}. Made of: {data['edition']}. Left out: {left_out}\n"
        )
    for title, place in PROFILE_TABLES.items():
        tables = {name: profile_table(data, place) for name, data in profiles.items()}
        rows = dict.fromkeys(row for table in tables.values() for row in table if row != "others")
        if any("others" in table for table in tables.values()):
            rows["others"] = None
        lines = [f"| {title} | {' | '.join(profiles)} |", "| --- |" + " --- |" * len(profiles)]
        for row in rows:
            cells = (profile_cell(table.get(row)) for table in tables.values())
            lines.append(f"| {row.replace('/', ', bits: ')} | {' | '.join(cells)} |")
        parts.append("\n".join(lines) + "\n")
    lines = ["| limit | " + " | ".join(profiles) + " |", "| --- |" + " --- |" * len(profiles)]
    for limit in ("ike-seconds", "child-seconds", "rsa-bits"):
        found = (data.get("limits", {}).get(limit) for data in profiles.values())
        lines.append(f"| {limit} | {' | '.join(f'{cell[0]} ({cell[1]})' if cell else '' for cell in found)} |")
    parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def profile_table(data: dict[str, Any], place: str) -> dict[str, Any]:
    """A table of a profile by its dotted name."""
    for part in place.split("."):
        data = data.get(part, {})
    return data


def profile_cell(cell: Any) -> str:
    """A cell in words."""
    if cell is None:
        return ""
    row = cell if isinstance(cell, dict) else {"status": cell[0], "clause": cell[1]}
    if row["status"] == "not-mentioned":
        return ""
    until = f" until {row['until']}" if "until" in row else ""
    note = f": {row['note']}" if row.get("note") else ""
    return f"{row['status']}{until} ({row['clause']}){note}"


def read_shapes() -> dict[str, tuple[str, list[Field]]]:
    """Class name → (its docstring, its fields) of all typed dictionaries."""
    shapes = {}
    for path in sorted((PACKAGE / "shapes").glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                shapes[node.name] = (ast.get_docstring(node) or "", list(fields(node)))
    return shapes


def fields(node: ast.ClassDef) -> list[Field]:
    """The fields of a class with the string under each."""
    found = []
    for item, below in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)):
                raise SystemExit(f"{node.name}.{item.target.id} has no description")
            found.append((item.target.id, item.annotation, str(below.value.value)))
    return found


def schema_text(name: str, root: str, shapes: dict[str, tuple[str, list[Field]]]) -> str:
    """The JSON Schema of a document."""
    wanted = reachable(root, shapes)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ipsecanalyze:schema:{name}:1",
        "title": f"ipsecanalyze {name}",
        **object_schema(root, shapes),
        "$defs": {entry: object_schema(entry, shapes) for entry in sorted(set(wanted) - {root})},
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def reachable(root: str, shapes: dict[str, tuple[str, list[Field]]]) -> list[str]:
    """The shapes that a shape is made of, itself first, each before its parts."""
    found, waiting = [], [root]
    while waiting:
        shape = waiting.pop(0)
        if shape not in found:
            found.append(shape)
            names = (n for _, kind, _ in shapes[shape][1] for n in ast.walk(kind) if isinstance(n, ast.Name))
            waiting = [name.id for name in names if name.id in shapes] + waiting
    return found


def object_schema(shape: str, shapes: dict[str, tuple[str, list[Field]]]) -> dict[str, Any]:
    """The schema of one typed dictionary. Further properties are allowed: fields may be added."""
    description, members = shapes[shape]
    return {
        "type": "object",
        "description": description,
        "properties": {name: {**type_schema(kind), "description": text} for name, kind, text in members},
        "required": [name for name, kind, _ in members if "NotRequired" not in ast.unparse(kind)],
    }


def type_schema(kind: ast.expr) -> dict[str, Any]:
    """The schema of an annotation."""
    if isinstance(kind, ast.Name):
        return dict(SPELLINGS.get(kind.id) or {"$ref": f"#/$defs/{kind.id}"})
    if isinstance(kind, ast.Constant) and kind.value is None:
        return {"type": "null"}
    if isinstance(kind, ast.BinOp):
        return {"anyOf": [type_schema(kind.left), type_schema(kind.right)]}
    if isinstance(kind, ast.Subscript) and isinstance(kind.value, ast.Name):
        inside = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
        if kind.value.id == "list":
            return {"type": "array", "items": type_schema(inside[0])}
        if kind.value.id == "dict":
            return {"type": "object", "additionalProperties": type_schema(inside[1])}
        if kind.value.id == "NotRequired":
            return type_schema(inside[0])
        if kind.value.id == "Literal":
            return {"enum": [ast.literal_eval(value) for value in inside]}
    raise SystemExit(f"no schema for {ast.unparse(kind)}")


def section(what: str, shapes: dict[str, tuple[str, list[Field]]]) -> str:
    """What stands between the marks."""
    kind, _, name = what.partition(" ")
    if kind == "help":
        return f"```text\n{help_text(name)}```\n"
    if kind == "shapes":
        # Each shape once, with the first document that uses it.
        order = list(DOCUMENTS)
        earlier = {shape for root in order[: order.index(name)] for shape in reachable(DOCUMENTS[root], shapes)}
        own = [shape for shape in reachable(DOCUMENTS[name], shapes) if shape not in earlier]
        return "\n".join(table(shape, shapes) for shape in own)
    if kind == "findings":
        return findings_text(name)
    raise SystemExit(f"nothing is known about {what!r}")


def findings_text(topic: str) -> str:
    """The pages of the catalogue: of "diagnosis", "audit" or "comparison"."""
    from ipsecanalyze.findings.catalog import is_audit, page, slugs
    from ipsecanalyze.findings.compare import SLUGS

    wanted = SLUGS if topic == "comparison" else [slug for slug in slugs() if is_audit(slug) is (topic == "audit")]
    parts = []
    for slug in wanted:
        known = page(slug)
        parts.append(
            f"### {slug}\n\n**{known.title}.** {known.what}\n\n{known.why}\n\n*In Wireshark:* {known.wireshark}\n"
        )
        parts.append("".join(f"* **{name}**: {' '.join(text.split())}\n" for name, text in known.fixes.items()))
        parts.append(f"{', '.join(known.references)}\n")
    return "\n".join(parts)


def table(shape: str, shapes: dict[str, tuple[str, list[Field]]]) -> str:
    """The fields of a shape as a Markdown table."""
    description, members = shapes[shape]
    lines = [f"### {shape}", "", description, "", "| field | type | |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {type_text(kind)} | {text} |" for name, kind, text in members]
    return "\n".join(lines) + "\n"


def type_text(kind: ast.expr) -> str:
    """An annotation as the tables have it."""
    text = ast.unparse(kind).replace("None", "null").replace("'", '"')
    text = re.sub(r"Literal\[([^\]]*)\]", lambda match: match[1].replace(", ", " | "), text)
    text = re.sub(r"\bCount\b", "int", re.sub(r"NotRequired\[(.*)\]", r"\1", text))
    return "`" + text.replace("|", "\\|") + "`"


def help_text(name: str) -> str:
    """The --help of a command ("ipsecanalyze" for the group), 100 columns wide."""
    import click

    from ipsecanalyze.cli.group import ipsecanalyze

    top = ipsecanalyze.make_context("ipsecanalyze", ["--"], resilient_parsing=True, terminal_width=100)
    if name == "ipsecanalyze":
        return ipsecanalyze.get_help(top) + "\n"
    group: click.Group = ipsecanalyze
    for word in name.split():
        command = group.get_command(top, word)
        if command is None:
            raise SystemExit(f"there is no command {name!r}")
        top = click.Context(command, parent=top, info_name=word)
        if isinstance(command, click.Group):
            group = command
    return top.get_help() + "\n"


def draw(capture: str) -> None:
    """Draw docs/summarize.svg."""
    import ipsecanalyze
    from ipsecanalyze.report.picture import summary_svg

    svg = summary_svg(ipsecanalyze.analyze(capture).to_dict(), title=f"ipsecanalyze summarize {Path(capture).name}")
    (ROOT / "docs" / "summarize.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
