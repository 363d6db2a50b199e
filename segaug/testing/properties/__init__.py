"""Properties that augmentations are held against, each a function whose docstring states it."""

# First, as the others leave out samples that fail here: properties are run in the order of their definition.
from segaug.testing.properties._contract import (
    does_not_mutate_input,
    keeps_dtype_and_device,
    keeps_range,
    keeps_shape,
    prints_nothing,
    refuses_unknown_arguments,
    returns_same_structure,
)

# isort: split
from segaug.testing.properties._batches import (
    batch_elements_do_not_interfere,
    batch_equals_singles,
    padding_changes_nothing,
)
from segaug.testing.properties._boxes import boxes_follow_masks
from segaug.testing.properties._calls import calls_are_independent
from segaug.testing.properties._engine import batched_equals_looped, full_mask_equals_plain
from segaug.testing.properties._filler import filler_changes_nothing
from segaug.testing.properties._geometry import moves_everything_together
from segaug.testing.properties._independence import batch_elements_are_independent, segments_are_independent
from segaug.testing.properties._involution import twice_is_identity
from segaug.testing.properties._members import members_are_independent
from segaug.testing.properties._names import is_equivariant_to_label_permutation, leaves_sentinels_alone
from segaug.testing.properties._numbers import (
    cpu_equals_gpu,
    float_equals_uint8,
)
from segaug.testing.properties._patterns import patterns_have_right_frequencies
from segaug.testing.properties._positions import positions_follow_pixels
from segaug.testing.properties._robustness import (
    pickles_and_copies,
    reads_any_layout,
    survives_degenerate_inputs,
)
from segaug.testing.properties._seeding import (
    draws_do_not_depend_on_pixels,
    generator_decides,
    is_identity_at_p_zero,
    is_reproducible,
    leaves_global_streams_alone,
)
from segaug.testing.properties._segments import (
    conserves_partition,
    is_identity_outside_masks,
    segments_do_not_interfere,
)
from segaug.testing.properties._workers import workers_and_epochs_are_independent

__all__ = [
    "batch_elements_are_independent",
    "batch_elements_do_not_interfere",
    "batch_equals_singles",
    "batched_equals_looped",
    "boxes_follow_masks",
    "calls_are_independent",
    "conserves_partition",
    "cpu_equals_gpu",
    "does_not_mutate_input",
    "draws_do_not_depend_on_pixels",
    "filler_changes_nothing",
    "float_equals_uint8",
    "full_mask_equals_plain",
    "generator_decides",
    "is_equivariant_to_label_permutation",
    "is_identity_at_p_zero",
    "is_identity_outside_masks",
    "is_reproducible",
    "keeps_dtype_and_device",
    "keeps_range",
    "keeps_shape",
    "leaves_global_streams_alone",
    "leaves_sentinels_alone",
    "members_are_independent",
    "moves_everything_together",
    "padding_changes_nothing",
    "patterns_have_right_frequencies",
    "pickles_and_copies",
    "positions_follow_pixels",
    "prints_nothing",
    "reads_any_layout",
    "refuses_unknown_arguments",
    "returns_same_structure",
    "segments_are_independent",
    "segments_do_not_interfere",
    "survives_degenerate_inputs",
    "twice_is_identity",
    "workers_and_epochs_are_independent",
]
