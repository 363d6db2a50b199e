"""How PerSegment runs what it wraps, on tokens and in pictures.

``_plan`` turns a transform into a tree of nodes: ``_nodes`` (batched or looped) and ``_containers``. A batched node runs a
``_lowering``, of which ``_lowerings`` holds torchvision's; a looped one calls the transform itself, in ``_loop`` and
``_segment_patch``. ``_on_tokens`` and ``_on_picture`` run a plan; the latter with ``_picture``, ``_picture_draws``,
``_picture_rules``, ``_patches`` and ``_place``, and ``_detection`` and ``_rows`` for what lies beside a picture. ``_v1`` and
``_adapters`` take other libraries' transforms, and ``_refused`` says which cannot be taken.
"""

__all__: list[str] = []
