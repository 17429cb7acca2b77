def test_the_table_has_a_line_per_precision_and_needs_no_weights(memvos):
    code, output, _ = memvos("bench", "scale=smoke", "rounds=1", "model.backbone.weights=/no/such.npz")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()[2:]] == ["precision", "float32", "bf16"]
    assert all(float(number) > 0 for line in output.splitlines()[3:] for number in line.split()[1:])
