from memvos.app import bench_loader


def test_clips_are_timed_against_plain_ones(monkeypatch):
    monkeypatch.setattr(bench_loader, "CLIPS", 1)
    monkeypatch.setattr(bench_loader, "SIZE", 64)
    lines = list(bench_loader.table(rounds=1))
    assert [line.split()[0] for line in lines[2:]] == ["pseudo-video", "video"]


def test_clips_of_real_folders_are_timed(memvos, monkeypatch, davis_root, static_root):
    monkeypatch.setattr(bench_loader, "CLIPS", 1)
    monkeypatch.setattr(bench_loader, "SIZE", 32)
    code, output, _ = memvos(
        "bench", "loader", "rounds=1", f"videos={davis_root}", "resolution=480p", f"stills={static_root}"
    )
    assert code == 0
    assert all(float(number) > 0 for line in output.splitlines()[2:] for number in line.split()[1:])


def test_a_resolution_is_one_of_given_videos(memvos):
    code, _, error = memvos("bench", "loader", "rounds=1", "resolution=480p")
    assert (code, "got resolution=480p without videos; expected it with videos=FOLDER" in error) == (2, True), error
