"""Masks are PNG files of a byte per pixel: their bytes, in a third of the time that PIL takes."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
_PLAIN, _DIFFERENCES = 0, 1  # the row filters None and Sub of the PNG specification


def decode_bytes(data: bytes) -> np.ndarray | None:
    """The values of a PNG file, uint8 (H, W): grey values or places in the palette, as PIL gives them.

    None where the file is of another kind (other depths and colours, interlaced, further row filters), or is damaged in
    any way: whoever asked decodes it as any image then, which says what is wrong.
    """
    if not data.startswith(_SIGNATURE):
        return None
    chunks = _chunks(data)
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or len(chunks[0][1]) != 13:
        return None
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", chunks[0][1])
    if depth != 8 or colour not in (_GREY, _PALETTE) or any(methods):
        return None
    try:
        rows = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    except zlib.error:
        return None
    return _unfiltered(np.frombuffer(rows, np.uint8), width, height)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, content) of the chunks up to IEND; what follows a damaged or cut-off one is left out, and so is IEND."""
    chunks, place = [], len(_SIGNATURE)
    while place + 12 <= len(data) and (not chunks or chunks[-1][0] != b"IEND"):
        (length,) = struct.unpack_from(">I", data, place)
        body = data[place + 4 : place + 8 + length]
        check = data[place + 8 + length : place + 12 + length]
        if len(check) < 4 or zlib.crc32(body) != int.from_bytes(check, "big"):
            break
        chunks.append((body[:4], body[4:]))
        place += 12 + length
    return chunks


def _unfiltered(rows: np.ndarray, width: int, height: int) -> np.ndarray | None:
    """Undo the row filter, if it is one for all rows: rows are H times a byte that names it and W values."""
    if rows.size != height * (width + 1):
        return None
    rows = rows.reshape(height, width + 1)
    filters = rows[:, 0]
    if (filters == _PLAIN).all():
        return rows[:, 1:].copy()
    if (filters == _DIFFERENCES).all():
        columns = cv2.transpose(rows)[1:]  # sums of whole columns are twice as fast as along rows
        return cv2.transpose(np.add.accumulate(columns, axis=0, out=columns))
    return None
