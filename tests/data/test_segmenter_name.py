import pytest

from segaug import SLIC, Felzenszwalb, Grid, Voronoi, Watershed
from segaug.data import parse_segmenter


@pytest.mark.parametrize(
    ("text", "segmenter"),
    [
        ("grid", Grid(9, 9)),
        ("grid:rows=4,cols=5", Grid(4, 5)),
        ("grid:rows=4", Grid(4, 9)),
        ("voronoi", Voronoi(100)),
        ("voronoi:n=7,seed=3", Voronoi(7, seed=3)),
        ("slic:n_segments=50,slic_zero=True", SLIC(50, slic_zero=True)),
        ("felzenszwalb", Felzenszwalb(scale=60, min_size=25)),
        ("felzenszwalb: scale = 100 , sigma=0.5", Felzenszwalb(scale=100, sigma=0.5, min_size=25)),
        ("watershed:compactness=1e-2", Watershed(compactness=0.01)),
    ],
)
def test_names_and_options(text, segmenter):
    assert parse_segmenter(text).fingerprint == segmenter.fingerprint


@pytest.mark.parametrize(
    ("text", "segmenters"),
    [
        (
            "felzenszwalb:scale=60+felzenszwalb:scale=300",
            (Felzenszwalb(60, min_size=25), Felzenszwalb(300, min_size=25)),
        ),
        ("grid + voronoi:n=7 +slic", (Grid(9, 9), Voronoi(7), SLIC())),
        ("felzenszwalb:scale=6e+1,min_size=+25+grid", (Felzenszwalb(scale=60.0, min_size=25), Grid(9, 9))),
    ],
)
def test_several(text, segmenters):
    parsed = parse_segmenter(text)
    assert isinstance(parsed, tuple)
    assert [one.fingerprint for one in parsed] == [one.fingerprint for one in segmenters]


def test_a_plus_in_a_path_is_no_other_segmenter(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\+b\+grids\.pth"):
        parse_segmenter(f"sam:checkpoint={tmp_path}/a+b+grids.pth")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ValueError, "segmenter must be one of felzenszwalb, grid, .*, got ''"),
        ("Grid", ValueError, "segmenter must be one of felzenszwalb, grid, .*, got 'Grid'"),
        ("grid:4,5", ValueError, "options must be OPTION=VALUE with commas between, got '4' in 'grid:4,5'"),
        ("grid:=5", ValueError, "options must be OPTION=VALUE"),
        ("grid:rows=0", ValueError, "rows must be at least 1, got 0"),
        ("grid:rows=many", TypeError, "rows must be an int, got 'many'"),
        ("grid:n=5", TypeError, "grid has the options rows, cols, got 'n'"),
        ("sam", TypeError, "sam needs checkpoint, as in sam:checkpoint="),
        ("grid+", ValueError, "segmenter must be one of felzenszwalb, grid, .*, got 'grid\\+'"),
        ("grid+maps", ValueError, "segmenter must be one of felzenszwalb, grid, .*, got 'grid\\+maps'"),
        ("grid+sam", TypeError, "sam needs checkpoint, as in sam:checkpoint="),
        ("felzenszwalb:scale=-1", ValueError, r"scale must be at least 0\.0, got -1"),
    ],
)
def test_wrong_names_and_options(text, error, message):
    with pytest.raises(error, match=message):
        parse_segmenter(text)
