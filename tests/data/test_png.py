import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from memvos.data.png import decode_bytes

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 256, (37, 53), np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(labels=LABELS, filters=None, colour=0, depth=8, interlaced=0, rows=None) -> bytes:
    """A PNG file written by hand; filters: 0 (as they are) or 1 (difference to the left) for every row."""
    height, width = labels.shape
    filters = [0] * height if filters is None else filters
    if rows is None:
        rows = b"".join(
            bytes([kind]) + (row if kind != 1 else np.diff(row, prepend=np.uint8(0))).tobytes()
            for kind, row in zip(filters, labels, strict=True)
        )
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    packed = zlib.compress(rows)
    parts = chunk(b"IDAT", packed[:100]) + chunk(b"IDAT", packed[100:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + parts + chunk(b"IEND", b"")


def as_pil_reads(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("colour", [0, 3])
@pytest.mark.parametrize("kind", [0, 1])
def test_values_are_those_that_were_written_and_those_that_pil_reads(colour, kind):
    data = png(filters=[kind] * 37, colour=colour)
    values = decode_bytes(data)
    assert values.flags.c_contiguous
    assert values.flags.writeable
    assert (values == LABELS).all()
    assert (values == as_pil_reads(data)).all()


@pytest.mark.parametrize("mode", ["L", "P"])
def test_what_pil_writes_is_read_or_left_to_pil(mode):
    for labels in (LABELS, np.kron(LABELS[:4, :6] % 3, np.ones((20, 30), np.uint8)), np.zeros((1, 1), np.uint8)):
        file = io.BytesIO()
        image = Image.fromarray(labels)
        if mode == "P":
            image.putpalette(list(range(256)) * 3)
        image.save(file, "PNG")
        values = decode_bytes(file.getvalue())
        assert values is None or (values == labels).all()
        assert values is not None or mode == "L", "palette masks are written without filters"


def test_other_kinds_of_png_are_left_to_others():
    assert decode_bytes(png(filters=[0, 1] * 18 + [0])) is None
    assert decode_bytes(png(filters=[2] * 37)) is None
    assert decode_bytes(png(colour=2)) is None
    assert decode_bytes(png(depth=4)) is None
    assert decode_bytes(png(interlaced=1)) is None
    assert decode_bytes(b"\xff\xd8 a JPEG") is None


def test_damaged_files_are_left_to_others():
    data = png()
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    cut_off = (data[:40], data[: len(data) // 2], data[:-12], data[:-1])
    for bad in (b"", bytes(changed), png(rows=b"\0" * 99), png(rows=b""), *cut_off):
        assert decode_bytes(bad) is None
