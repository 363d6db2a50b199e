"""How PerSegment runs what it wraps, on tokens and in pictures.

``_plan`` turns a transform into a tree of nodes: ``_nodes`` (batched or looped) and ``_containers``. A batched node runs a
``_lowering``, of which ``_lowerings`` holds torchvision's; a looped one calls the transform itself, in ``_loop`` and
``_segment_patch``. ``_on_tokens`` and ``_picture`` (with ``_patches``, ``_picture_rules`` and ``_detection``) run a plan.
``_v1`` and ``_adapters`` take other libraries' transforms, and ``_refused`` says which cannot be taken.
"""

__all__: list[str] = []
