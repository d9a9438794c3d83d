"""ONNX Runtime's own format `.ort`, which its small builds for phones load, with the same bytes every time.

ONNX Runtime writes the file; weights and names stand in it in the order of hash tables, another one in each run. So its
flatbuffer is read and written anew with those lists sorted. The tables are those of ONNX Runtime's schema (`ort.fbs`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesr.errors import ExportError

if TYPE_CHECKING:
    import onnx
    from flatbuffers import Builder
    from flatbuffers.table import Table

_BYTES = {"i8": 1, "u8": 1, "i32": 4, "u32": 4, "f32": 4, "i64": 8}
_ALIGNMENT = 16  # of weights, so that ONNX Runtime can use them where they lie

# Fields in the order of their slots: a scalar, "str", a table's name, or a list of one of them; "edge" is a struct of 12 bytes.
_SCHEMA: Mapping[str, tuple[str, ...]] = {
    "Session": ("str", "Model", "-", "Resolver"),
    "Model": ("i64", "[Opset]", "str", "str", "str", "i64", "str", "Graph", "str", "[Entry]"),
    "Graph": ("[Tensor]", "[Value]", "[Node]", "u32", "[NodeEdge]", "[str]", "[str]", "[Other]", "[Other]"),
    "Node": (
        *("str", "str", "str", "i32", "u32", "str", "i32", "str"),
        *("[str]", "[str]", "[Attribute]", "[i32]", "[str]"),
    ),
    "NodeEdge": ("u32", "[edge]", "[edge]"),
    "Attribute": (
        *("str", "str", "i32", "f32", "i64", "str", "Tensor", "Graph"),
        *("[f32]", "[i64]", "[str]", "[Tensor]", "[Graph]"),
    ),
    "Tensor": ("str", "str", "[i64]", "i32", "[u8]", "[str]", "i64"),
    "Value": ("str", "str", "Type"),
    "Type": ("str", "u8", "TensorType"),
    "TensorType": ("i32", "Shape"),
    "Shape": ("[Dimension]",),
    "Dimension": ("DimensionValue", "str"),
    "DimensionValue": ("i8", "i64", "str"),
    "Opset": ("str", "i64"),
    "Entry": ("str", "str"),
    "Resolver": ("[Operator]",),
    "Operator": ("str", "[Arguments]"),
    "Arguments": ("str", "[Argument]"),
    "Argument": ("i8", "u32"),
    "Other": ("-",) * 8,  # what our graphs do not have
}
_SORTED = frozenset({"Tensor", "Value", "Attribute", "Opset", "Entry", "Operator", "Arguments"})
"""Tables that stand in lists without an order, and begin with their name."""

Fields = dict[int, Any]
"""A table: slot -> value, for the slots that it has."""


def write_ort_format(graph: "onnx.ModelProto", path: Path) -> Path:
    """Write the graph as `.ort` to `path`, and the operators that it needs as `.config` beside it; returns the latter's path.

    ONNX Runtime fuses operators before it writes, but nothing for one kind of processor, and leaves constants as compact as the
    graph has them. The configuration file is what ONNX Runtime's build takes as `--include_ops_by_config`.
    Raises ExportError when ONNX Runtime cannot take the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    left_out = ["ConstantFolding", "NchwcTransformer"]
    try:
        onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=left_out
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ExportError(f"ONNX Runtime cannot write this graph in its own format: {error}") from error
    session = _read(path.read_bytes())
    path.write_bytes(_written(session))
    config = path.with_suffix(".config")
    config.write_text(_operators(session), encoding="utf-8")
    return config


@dataclass(frozen=True)
class _Bytes:
    """A vector of scalars or structs as it lies in the file: its elements' size and all of their bytes."""

    size: int
    data: bytes


def _read(content: bytes) -> Fields:
    from flatbuffers import encode, packer
    from flatbuffers.table import Table

    return _read_table(Table(bytearray(content), encode.Get(packer.uoffset, content, 0)), "Session")


def _read_table(table: "Table", kind: str) -> Fields:
    fields: Fields = {}
    for slot, field in enumerate(_SCHEMA[kind]):
        offset = table.Offset(4 + 2 * slot)
        if not offset:
            continue
        if field == "-":
            raise ExportError(f"ONNX Runtime wrote slot {slot} of {kind}, which this version of edgesr does not know")
        fields[slot] = _read_field(table, offset, field)
    return fields


def _read_field(table: "Table", offset: int, field: str) -> Any:
    from flatbuffers.table import Table

    place = offset + table.Pos
    if field in _BYTES:
        return bytes(table.Bytes[place : place + _BYTES[field]])
    if field == "str":
        return table.String(place)
    if not field.startswith("["):
        return _read_table(Table(table.Bytes, table.Indirect(place)), field)
    element, start, length = field[1:-1], table.Vector(offset), table.VectorLen(offset)
    size = 12 if element == "edge" else _BYTES.get(element)
    if size:
        return _Bytes(size, bytes(table.Bytes[start : start + size * length]))
    if element == "str":
        return [table.String(start + 4 * i) for i in range(length)]
    items = [_read_table(Table(table.Bytes, table.Indirect(start + 4 * i)), element) for i in range(length)]
    return sorted(items, key=lambda item: item.get(0, b"")) if element in _SORTED else items


def _written(session: Fields) -> bytes:
    from flatbuffers import Builder

    builder = Builder(1 << 20)
    builder.Finish(_write_table(builder, session, "Session"), file_identifier=b"ORTM")
    return bytes(builder.Output())


def _write_table(builder: "Builder", fields: Fields, kind: str) -> int:
    schema = _SCHEMA[kind]
    places = {slot: _write_field(builder, value, schema[slot]) for slot, value in fields.items() if schema[slot] not in _BYTES}
    builder.StartObject(len(schema))
    for slot, value in fields.items():
        if slot in places:
            builder.PrependUOffsetTRelativeSlot(slot, places[slot], 0)
        else:
            builder.Prep(len(value), 0)
            _prepend(builder, value)
            builder.Slot(slot)
    return int(builder.EndObject())


def _write_field(builder: "Builder", value: Any, field: str) -> int:
    if field == "str":
        return int(builder.CreateString(value))
    if isinstance(value, dict):
        return _write_table(builder, value, field)
    if isinstance(value, _Bytes):
        builder.StartVector(value.size, len(value.data) // value.size, 4 if value.size == 12 else _ALIGNMENT)
        _prepend(builder, value.data)
        return int(builder.EndVector())
    places = [_write_field(builder, item, field[1:-1]) for item in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def _prepend(builder: "Builder", data: bytes) -> None:
    """Put bytes in front of what the builder, which writes from the end, has written."""
    builder.head = builder.Head() - len(data)
    builder.Bytes[builder.Head() : builder.Head() + len(data)] = data


def _operators(session: Fields) -> str:
    """The operators by domain and the opset that introduced them, a line each: `ai.onnx;14;Add,Mul`."""
    found: dict[tuple[str, int], set[str]] = {}

    def visit(graph: Fields) -> None:
        for node in graph[2]:
            since = int.from_bytes(node[3], "little")
            found.setdefault((node.get(2, b"").decode() or "ai.onnx", since), set()).add(node[5].decode())
            for attribute in node.get(10, ()):
                for body in [attribute[7]] if 7 in attribute else attribute.get(12, ()):
                    visit(body)

    visit(session[1][7])
    lines = [f"{domain};{since};{','.join(sorted(names))}\n" for (domain, since), names in sorted(found.items())]
    return "# Operators of the model beside this file, for ONNX Runtime's build: --include_ops_by_config\n" + "".join(lines)
