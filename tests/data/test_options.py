import pytest

from segaug.data._options import parse_options


def test_a_name_and_values_of_all_kinds():
    assert parse_options("count") == ("count", {})
    name, options = parse_options("a:b/c, x=1 ,y=-0.5,z=(1,2),l=[3,4],t=True,n=None,w=some text")
    assert name == "a:b/c"
    assert options == {"x": 1, "y": -0.5, "z": (1, 2), "l": [3, 4], "t": True, "n": None, "w": "some text"}


@pytest.mark.parametrize(("text", "part"), [("a,b", "'b'"), ("a,=3", "'=3'"), ("a,", "''")])
def test_malformed(text, part):
    with pytest.raises(ValueError, match=f"options must be OPTION=VALUE with commas between, got {part} in"):
        parse_options(text)


def test_twice():
    with pytest.raises(ValueError, match="options must differ, got x twice"):
        parse_options("a,x=1,x=2")
