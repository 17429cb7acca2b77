import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from memvos.decode.propagate import Step
from memvos.decode.video import VideoFile
from memvos.decode.writers import MaskWriter, OverlayWriter, QualityWriter
from memvos.errors import InputError
from memvos.memory import Decision

LABELS = np.zeros((17, 21), np.uint8)
LABELS[4:10, 5:15] = 2


def test_masks_are_written_as_palette_images(tmp_path):
    path = MaskWriter(tmp_path / "masks").write("00003", LABELS)
    assert path.name == "00003.png"
    image = Image.open(path)
    assert image.mode == "P"
    assert np.array_equal(np.array(image), LABELS)
    assert image.getpalette()[6:9] == [0, 128, 0]


def test_ids_above_255_are_written_as_16_bit_grey(tmp_path):
    path = MaskWriter(tmp_path).write("a", LABELS.astype(np.int32) * 300)
    assert np.array(Image.open(path)).max() == 600


@pytest.mark.parametrize("labels", [LABELS, LABELS.astype(np.int32) * 300], ids=["palette", "16 bit"])
def test_masks_that_were_written_can_be_read(tmp_path, labels):
    writer = MaskWriter(tmp_path)
    writer.write("a", labels)
    assert np.array_equal(writer.read("a"), labels)


def test_overlay_is_a_video_with_the_object_tinted(tmp_path):
    with OverlayWriter(tmp_path / "overlay.mp4", rate=10, opacity=0.5) as overlay:
        for _ in range(4):
            overlay.write(np.full((17, 21, 3), 200, np.uint8), LABELS)
    frames = [frame for _, frame in VideoFile(tmp_path / "overlay.mp4")]
    assert len(frames) == 4
    assert frames[0].shape == (18, 22, 3)  # even sides
    # 0.5 · (200, 200, 200) + 0.5 · (0, 128, 0), within what the codec loses
    assert frames[0][6:8, 8:12].reshape(-1, 3).mean(axis=0) == pytest.approx([100, 164, 100], abs=25)
    assert frames[0][13:, :3].mean() == pytest.approx(200, abs=25)


def test_quality_rows_are_there_as_soon_as_a_frame_is(tmp_path):
    step = Step(LABELS, {}, {1: 0.91234, 2: 0.5}, True, 7, Decision(True, True, (3, 5), 0.9))
    first = Step(LABELS, {}, {}, True, 3)
    path = tmp_path / "out" / "quality.csv"
    with QualityWriter(path) as quality:
        quality.write("clip", "b", first)
        quality.write("clip", "c", replace(first, time=5))
        quality.write("other clip", "d", replace(first, time=5))
        quality.write("clip", "00007", step, {2: 0.25})
        rows = list(csv.DictReader(path.open()))
    shared = {"video": "clip", "frame": "00007", "stored": "1", "evicted": "b;c"}
    assert rows == [
        {**shared, "object": "1", "quality": "0.9123", "iou": ""},
        {**shared, "object": "2", "quality": "0.5000", "iou": "0.2500"},
    ]


def test_rows_are_added_to_those_that_are_written(tmp_path):
    path = tmp_path / "quality.csv"
    with QualityWriter(path) as quality:
        quality.write("clip", "a", Step(LABELS, {}, {1: 0.5}, True, 0))
    with QualityWriter(path, written={("clip", 0): "a"}) as quality:
        quality.write("clip", "b", Step(LABELS, {}, {1: 0.25}, True, 1, Decision(True, True, (0,), 0.9)))
    assert path.read_text().splitlines()[1:] == ["clip,a,1,0.5000,,1,", "clip,b,1,0.2500,,1,a"]


def test_the_quality_of_a_network_that_predicts_none_stays_empty(tmp_path):
    with QualityWriter(tmp_path / "quality.csv", predicted=False) as quality:
        quality.write("clip", "00007", Step(LABELS, {}, {2: 1.0}, True), {2: 0.25})
    assert (tmp_path / "quality.csv").read_text().splitlines()[1] == "clip,00007,2,,0.2500,1,"


@pytest.mark.parametrize(
    ("writer", "name"), [(MaskWriter, ""), (QualityWriter, "quality.csv"), (OverlayWriter, "overlay.mp4")]
)
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, writer, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot make the folder .*; choose another output folder"):
        writer(tmp_path / "file" / "sub" / name)


def test_a_csv_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*; choose another output folder"):
        QualityWriter(tmp_path)


def test_an_overlay_of_unknown_type_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot write a video to .*; name a file ending in .mp4"):
        OverlayWriter(tmp_path / "overlay.unknown")
