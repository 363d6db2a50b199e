import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segaug.training import CsvLogger, TensorBoardLogger


def test_csv_lines_and_new_columns(tmp_path):
    logger = CsvLogger(tmp_path / "log" / "a.csv")
    logger.log({"loss": 0.1, "text": "a,b"}, 3)
    logger.log({"loss": 0.2, "accuracy": 1.0}, 6)
    logger.close()
    assert logger.path.read_text() == 'step,loss,text,accuracy\n3,0.1,"a,b",\n6,0.2,,1.0\n'


def test_csv_replaces_what_a_killed_run_wrote_for_the_same_step(tmp_path):
    first = CsvLogger(tmp_path / "a.csv")
    for step in (3, 6, 9):
        first.log({"loss": step / 10}, step)
    # Goes on from a checkpoint after step 3, with another value.
    second = CsvLogger(tmp_path / "a.csv")
    second.log({"loss": 7.0}, 6)
    second.log({"loss": 8.0}, 9)
    assert first.path.read_text() == "step,loss\n3,0.3\n6,7.0\n9,8.0\n"


def test_csv_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("name,age\nx,3\n")
    with pytest.raises(ValueError, match=r"a\.csv is no log of a CsvLogger: it has no column 'step'"):
        CsvLogger(tmp_path / "a.csv").log({"loss": 1.0}, 1)
    assert (tmp_path / "a.csv").read_text() == "name,age\nx,3\n"


def scalars(folder):
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_tensorboard_has_every_number_once(tmp_path):
    first = TensorBoardLogger(tmp_path)
    first.log({"train_loss": 0.5, "lr": 0.1, "name": "x", "flag": True}, 3)
    first.log({"train_loss": 0.4, "val_accuracy": 1}, 6)
    first.close()
    second = TensorBoardLogger(tmp_path)
    second.log({"train_loss": 0.3}, 6)
    second.close()
    found = scalars(tmp_path)
    assert found["train/loss"] == [(3, 0.5), (6, 0.3)]
    assert found["lr"] == [(3, 0.1)]
    assert not {"name", "flag"} & found.keys()


@pytest.mark.parametrize("kind", [CsvLogger, TensorBoardLogger])
def test_a_closed_logger_goes_on_and_steps_are_checked(tmp_path, kind):
    logger = kind(tmp_path / "log")
    logger.close()
    logger.log({"loss": 1.0}, 1)
    logger.close()
    logger.log({"loss": 1.0}, 2)
    logger.close()
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        logger.log({}, -1)
