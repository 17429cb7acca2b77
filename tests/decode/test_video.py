import struct

import av
import numpy as np
import pytest
from PIL import Image

from memvos.decode.propagate import Segmenter
from memvos.decode.video import ImageFolder, VideoFile, follow, named, open_frames, turn_upright
from memvos.errors import InputError

RED_LEFT = np.zeros((32, 48, 3), np.uint8)
RED_LEFT[:, :24, 0] = 255


def write_video(path, frames, rate=10, codec="mpeg4"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def red_side(frame):
    """Where the mean of the red pixels is: (row, column) relative to the size."""
    rows, columns = np.nonzero(frame[..., 0] > 128)
    return rows.mean() / frame.shape[0], columns.mean() / frame.shape[1]


def test_video_file_gives_named_rgb_frames_and_its_rate(tmp_path):
    write_video(tmp_path / "clip.mp4", [RED_LEFT] * 5)
    video = open_frames(tmp_path / "clip.mp4")
    frames = list(video)
    assert [name for name, _ in frames] == ["00000", "00001", "00002", "00003", "00004"]
    assert len(video) == 5
    assert float(video.rate) == 10
    assert frames[0][1].shape == (32, 48, 3)
    assert frames[0][1].dtype == np.uint8
    assert red_side(frames[0][1])[1] == pytest.approx(0.25, abs=0.03)


def test_a_video_that_is_cut_off_gives_fewer_frames_than_it_states(tmp_path):
    noise = np.random.default_rng(0)
    write_video(tmp_path / "clip.avi", [noise.integers(0, 255, (32, 48, 3), dtype=np.uint8) for _ in range(40)])
    data = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(data[: len(data) * 2 // 3])
    video = VideoFile(tmp_path / "clip.avi")
    count = sum(1 for _ in video)
    assert 0 < count == video.decoded < len(video) == 40
    assert video.cut_off == f"{video.source} states 40 frames, {count} could be decoded; it may be cut off"


@pytest.mark.parametrize("cut", [False, True])
def test_a_video_without_a_number_of_frames_is_cut_off_if_it_ends_before_its_duration(tmp_path, cut):
    noise = np.random.default_rng(0)
    write_video(tmp_path / "clip.mkv", [noise.integers(0, 255, (32, 48, 3), dtype=np.uint8) for _ in range(60)])
    data = (tmp_path / "clip.mkv").read_bytes()
    (tmp_path / "clip.mkv").write_bytes(data[: len(data) // 2] if cut else data)
    video = VideoFile(tmp_path / "clip.mkv")
    count = sum(1 for _ in video)
    assert len(video) == 0
    said = f"{video.source} states 6.0 seconds, {count / 10} could be decoded; it may be cut off"
    assert video.cut_off == (said if cut else None)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_all_frames_before_a_damaged_one_are_given(tmp_path, codec):
    path, noise = tmp_path / "clip.mp4", np.random.default_rng(0)
    write_video(path, [noise.integers(0, 255, (32, 48, 3), dtype=np.uint8) for _ in range(30)], codec=codec)
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][10]
    data = bytearray(path.read_bytes())
    whole = [frame for _, frame in VideoFile(path)]
    data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    video, given = VideoFile(path), []
    with pytest.raises(InputError, match=r"cannot be decoded after 10 frames .*; write what is whole of it anew"):
        given.extend(frame for _, frame in iter(video))
    assert len(given) == video.decoded == packet.pts * packet.time_base * 10 == 10
    assert all(np.array_equal(frame, expected) for frame, expected in zip(given, whole, strict=False))


def test_two_images_of_one_name_are_refused(tmp_path):
    for name in ("00000.png", "00001.png", "00001.jpg"):
        Image.fromarray(RED_LEFT).save(tmp_path / name)
    with pytest.raises(InputError, match="holds 2 images named '00001'; expected one image for each frame") as told:
        ImageFolder(tmp_path)
    assert "or, if the PNGs are masks, move them (segment: or give this folder as --masks too)" in str(told.value)


def test_the_pngs_of_a_folder_that_holds_its_own_masks_are_no_frames(tmp_path, monkeypatch):
    for name in ("00000.jpg", "00001.jpg", "00001.png", "00000.png"):
        Image.fromarray(RED_LEFT).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, "."):
        assert [path.name for path in open_frames(tmp_path, without=[folder]).paths] == ["00000.jpg", "00001.jpg"]
    (tmp_path / "below").mkdir()
    with pytest.raises(InputError, match="holds 2 images named '00000'"):
        open_frames(tmp_path, without=["below"])


def test_a_frame_of_a_format_that_is_not_read_is_named(tmp_path):
    for name in ("00000.jpg", "00000.tif", "00002.jpg", ".00001.tif"):
        Image.fromarray(RED_LEFT).save(tmp_path / name)
    assert len(ImageFolder(tmp_path)) == 2
    Image.fromarray(RED_LEFT).save(tmp_path / "00001.tif")
    with pytest.raises(InputError, match=r"00001\.tif is of a format that is not read .*convert it, or move it away"):
        ImageFolder(tmp_path)


def test_frames_are_decoded_as_they_are_asked_for(tmp_path):
    write_video(tmp_path / "clip.mp4", [RED_LEFT] * 50)
    frames = iter(VideoFile(tmp_path / "clip.mp4"))
    assert next(frames)[0] == "00000"
    frames.close()


@pytest.mark.parametrize(
    ("matrix", "row", "column"),
    [
        ((0, 1, -1, 0), 0.25, 0.5),  # a phone held upright: shown a quarter turn clockwise, the left comes to the top
        ((-1, 0, 0, -1), 0.5, 0.75),  # upside down
        ((0, -1, 1, 0), 0.75, 0.5),
    ],
)
def test_rotation_in_the_metadata_is_applied(tmp_path, matrix, row, column):
    path = tmp_path / "clip.mp4"
    write_video(path, [RED_LEFT] * 2)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # the matrix of the track header: a b u c d v x y w
    a, b, c, d = (65536 * value for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    _, frame = next(iter(VideoFile(path)))
    assert red_side(frame) == (pytest.approx(row, abs=0.03), pytest.approx(column, abs=0.03))


def test_folder_is_read_in_natural_order(tmp_path):
    for name in ("f10.png", "f2.png", "f1.jpg"):
        Image.fromarray(RED_LEFT).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    assert [name for name, _ in open_frames(tmp_path)] == ["f1", "f2", "f10"]


def test_files_that_are_no_frames_are_left_out(tmp_path, monkeypatch):
    for name in ("00000.jpg", "00001.jpg", "00000.png", "first.png"):
        Image.fromarray(RED_LEFT).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    others = ["first.png", tmp_path / "00000.png", "elsewhere/00001.jpg"]
    assert [name for name, _ in open_frames(tmp_path, without=others)] == ["00000", "00001"]
    (tmp_path / "first.png").unlink()
    (tmp_path / "first.png").symlink_to(__file__)
    assert [name for name, _ in open_frames(tmp_path, without=others)] == ["00000", "00001"]
    for name in ("00001.jpg", "first.png"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"holds no image beside 00000\.jpg, 00000\.png; expected files ending in"):
        open_frames(tmp_path, without=["00000.jpg", "00000.png"])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    expected = [  # where the stored first row and first column are shown (EXIF 2.3, tag 0x0112)
        image,
        image[:, ::-1],
        image[::-1, ::-1],
        image[::-1],
        image.swapaxes(0, 1),
        image[::-1].swapaxes(0, 1),
        image[::-1, ::-1].swapaxes(0, 1),
        image[:, ::-1].swapaxes(0, 1),
    ][orientation - 1]
    assert np.array_equal(turn_upright(image, orientation), expected)
    assert np.array_equal(next(iter(ImageFolder(tmp_path)))[1], expected)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_damaged_exif_leaves_a_frame_upright(tmp_path, suffix):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(image).save(tmp_path / f"a.{suffix}", dpi=(72, 72), exif=b"Exif\0\0broken!!")
    ((name, frame),) = open_frames(tmp_path)
    assert (name, frame.shape) == ("a", (4, 4, 3))


def test_a_live_source_gets_names():
    assert [name for name, _ in named(iter([RED_LEFT, RED_LEFT]))] == ["00000", "00001"]


@pytest.mark.parametrize("what", ["missing", "empty folder", "text", "truncated"])
def test_what_cannot_be_read_is_refused(tmp_path, what):
    path = tmp_path / "input"
    if what == "empty folder":
        path.mkdir()
    if what == "text":
        path.write_text("not a video")
    if what == "truncated":
        write_video(tmp_path / "whole.mp4", [RED_LEFT] * 5)
        path.write_bytes((tmp_path / "whole.mp4").read_bytes()[:300])
    messages = {"missing": "does not exist", "empty folder": "holds no image", "truncated": "has no picture"}
    with pytest.raises(InputError, match=messages.get(what, "cannot be opened as a video")):
        list(open_frames(path))


def test_a_corrupt_image_is_named(tmp_path):
    (tmp_path / "00000.png").write_bytes(b"\x89PNG no")
    with pytest.raises(InputError, match=r"00000\.png cannot be read"):
        list(open_frames(tmp_path))


def test_follow_starts_at_the_first_mask_and_reads_masks_when_their_frame_comes(painted, paint):
    size, box = (16, 16), (4, 12, 4, 12)
    mask = np.zeros(size, np.uint8)
    mask[4:12, 4:12] = 1
    asked = []
    frames = named(paint(size, {0: box}) for _ in range(5))
    segmenter = Segmenter(painted, "first", device="cpu", precision="float32")
    masks = {"00002": mask, "00004": lambda: asked.append(4) or mask}
    results = follow(segmenter, frames, masks)
    assert next(results)[0] == "00002"
    assert asked == []
    assert [(name, step.time) for name, _, step in results] == [("00003", 1), ("00004", 2)]
    assert asked == [4]


def test_the_model_is_told_the_names_of_video_and_frames(painted, paint, monkeypatch):
    seen, query = [], painted.query
    monkeypatch.setattr(painted, "query", lambda image, place: seen.append(place.names) or query(image, place))
    size, box = (16, 16), (4, 12, 4, 12)
    for video in ("clip", None):
        segmenter = Segmenter(painted, "first", device="cpu", precision="float32")
        monkeypatch.setattr(segmenter, "model", painted)
        list(follow(segmenter, named([paint(size, {0: box})]), {"00000": np.ones(size, np.uint8)}, video))
    assert seen == [(("clip", "00000"),), ()]


def test_masks_for_frames_that_never_come_are_reported(painted, paint):
    mask = np.ones((16, 16), np.uint8)
    segmenter = Segmenter(painted, "first", device="cpu", precision="float32")
    frames = named([paint((16, 16), {0: (0, 16, 0, 16)})])
    with pytest.raises(InputError, match="frames that do not exist: frame7; name masks as their frames"):
        list(follow(segmenter, frames, {"00000": mask, "frame7": mask}))
