"""Weights of timm's and torchvision's ViT and DeiT in an SViT."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from segaug._checks import check_int, describe
from segaug.models._embeddings import ConvStem
from segaug.models._vit_names import PREFIX, read_state
from segaug.models._vit_tables import fit_projection, fit_table, split_table
from segaug.models.svit import SViT

__all__ = ["LoadedWeights", "load_vit_weights"]


@dataclass(frozen=True)
class LoadedWeights:
    """What :func:`load_vit_weights` did with every key of a state dict and every parameter of the model.

    Args:
        loaded: The model's parameters that were taken as they are, to the keys they came from.
        adapted: The model's parameters that were changed on the way, to how.
        left_out: Keys of the state dict that the model has no use for, to why.
        kept: The model's parameters that keep the values they had, to why.

    Example:
        >>> print(LoadedWeights({"norm.weight": "norm.weight"}, {}, {"head.weight": "7 classes, not 5"}, {}))
        1 loaded
        left out: head.weight (7 classes, not 5)
    """

    loaded: dict[str, str]
    adapted: dict[str, str]
    left_out: dict[str, str]
    kept: dict[str, str]

    def __str__(self) -> str:
        """One line for each group of names with one reason."""
        lines = [f"{len(self.loaded)} loaded"]
        for title, names in (("adapted", self.adapted), ("left out", self.left_out), ("kept", self.kept)):
            for reason in dict.fromkeys(names.values()):
                group = ", ".join(_shorten([name for name, why in names.items() if why == reason]))
                lines.append(f"{title}: {group} ({reason})")
        return "\n".join(lines)


def load_vit_weights(
    model: SViT, state_dict: Mapping[str, Any], *, grid: tuple[int, int] | None = None
) -> LoadedWeights:
    """Load the weights of a timm or torchvision ViT or DeiT into an S-ViT of the same width and depth.

    Every key and every parameter is accounted for. What has another shape is adapted: a position table of another grid by
    bicubic interpolation, patches of another size by the resampling of arXiv 2212.08013, a fourth channel for alpha by
    zeros. Layer scale goes into the layers before it if the model has none. What has no place in the model is left out: a
    head for other classes, the position table of a model with another ``position``, the class token of ``pool="mean"``.

    Options of a ViT that leave no key (timm's pooling by ``"max"`` or ``"avgmax"`` or with ``pool_include_prefix``, its
    ``quick_gelu``, another epsilon of the norms) cannot be noticed: the logits are then others. Nor does a state dict hold
    the mean and standard deviation that the ViT's pixels were normalised with: build the model with them
    (``pixel_mean``, ``pixel_std``).

    Args:
        model: The model, changed in place.
        state_dict: Of timm's ``VisionTransformer`` (DeiT, also the distilled, and registers included), of torchvision's,
            or a checkpoint that holds one under ``"model"`` or ``"state_dict"``. Names may begin with ``module.``.
        grid: (rows, columns) of the model's position table; None for a square. A table of the state dict is taken for
            square where it can be, and else must be of that grid; if its rows could also be read as tokens beside a
            smaller grid, ``grid`` decides. For a model with another ``position`` that takes registers it is the grid of
            the state dict's table, as their rows are in there.

    Returns:
        What was done with each of them.

    Raises:
        TypeError: If ``model`` is no SViT, or ``state_dict`` no mapping of names to tensors.
        ValueError: If a key is not known, a shape cannot be adapted, a parameter of the blocks is missing, or ``grid`` does
            not fit the model. The model is then unchanged.

    Example:
        >>> import timm
        >>> vit = timm.create_model("vit_tiny_patch16_224", num_classes=7)
        >>> model = SViT(5, position="table", num_positions=64, alpha_channel=True)
        >>> print(load_vit_weights(model, vit.state_dict()))
        148 loaded
        adapted: pos_embed (14x14 resampled to 8x8)
        adapted: patch_embed.proj.weight (zeros for alpha)
        left out: head.weight, head.bias (7 classes, the model has 5)
        kept: head.weight, head.bias (a head for 5 classes)
    """
    if not isinstance(model, SViT):
        raise TypeError(f"model must be an SViT, got {describe(model)}")
    plan = _Plan(model, read_state(state_dict))
    plan.take_ends(_check_grid(grid, model, plan.takes_registers), grid is not None)
    plan.take_trunk()
    plan.take_rest()
    # Only now, so that an error leaves the model as it was.
    with torch.no_grad():
        for name, value in plan.values.items():
            plan.parameters[name].copy_(value)
    return LoadedWeights(plan.loaded, plan.adapted, plan.left_out, plan.kept)


@dataclass
class _Plan:
    """Collects what to put where. ``state`` maps timm's names to the key that was given and its tensor."""

    model: SViT
    state: dict[str, tuple[str, Tensor]]
    values: dict[str, Tensor] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    adapted: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters = dict(self.model.named_parameters())

    @property
    def takes_registers(self) -> bool:
        """Whether there are registers to take, which may have rows in the table."""
        return self.model.reg_token is not None and {"pos_embed", "reg_token"} <= self.state.keys()

    def pop(self, name: str) -> Tensor:
        return self.state.pop(name)[1]

    def leave_out(self, name: str, why: str) -> None:
        """Leave out a key, if it is there."""
        if name in self.state:
            self.left_out[self.state.pop(name)[0]] = why

    def keep(self, name: str, why: str) -> None:
        """Keep a parameter as it is, if the model has it."""
        if name in self.parameters:
            self.kept[name] = why

    def put(self, name: str, value: Tensor, key: str, how: str | None = None) -> None:
        """Put a value into a parameter, or say why it does not go."""
        shape = tuple(self.parameters[name].shape)
        if tuple(value.shape) != shape:
            raise ValueError(f"{key} must have shape {shape} for the model's {name}, got {tuple(value.shape)}")
        self.values[name] = value
        if how is None:
            self.loaded[name] = key
        else:
            self.adapted[name] = how

    def take_ends(self, grid: tuple[int, int] | None, is_given: bool) -> None:
        """Everything but the blocks."""
        model = self.model
        self._take_table(grid, is_given)
        for name, counterpart in (("norm", "fc_norm"), ("fc_norm", "norm")):
            for kind in ("weight", "bias"):
                mine, other = f"{name}.{kind}", f"{counterpart}.{kind}"
                if mine in self.parameters and mine not in self.state and other in self.state:
                    key, value = self.state.pop(other)
                    self.put(mine, value, key, f"from {key}: the model's norm is there")
        for head in ("head", "head_dist"):
            self._take_head(head)
        if model.pool == "mean":
            self.leave_out("cls_token", "pool='mean' has no class token")
        elif model.pool == "class_attention":
            self.leave_out(
                "cls_token", "the class token of pool='class_attention' is another: it joins behind the trunk"
            )
            self.keep("cls_token", "joins behind the trunk, as no ViT's does")
        elif "cls_token" not in self.state:
            self.keep("cls_token", "the state dict has none")
        if model.dist_token is None:
            self.leave_out("dist_token", "the model has no distillation token")
        elif "dist_token" not in self.state:
            self.keep("dist_token", "the state dict has none")
        if model.reg_token is None:
            self.leave_out("reg_token", "the model has no registers")
        elif "reg_token" not in self.state and "reg_token" not in self.values:
            self.keep("reg_token", "the state dict has none")
        self._take_projection()
        for name in self.parameters:
            if name.startswith(("color_embed.", "blocks_token_only.")):
                self.keep(name, "no ViT has this")

    def _take_table(self, grid: tuple[int, int] | None, is_given: bool) -> None:
        """The position table: rows for the class, distillation and register tokens, then one for each place."""
        model = self.model
        for name in self.parameters:
            if name.startswith("position_embed."):
                self.keep(name, "no ViT has this")
        if "pos_embed" not in self.state:
            self.keep("pos_embed", "the state dict has none")
            return
        key, table = self.state["pos_embed"]
        if table.ndim != 3 or table.shape[0] != 1 or table.shape[2] != model.embed_dim:
            raise ValueError(f"{key} must have shape (1, rows, {model.embed_dim}), got {tuple(table.shape)}")
        has_registers = self.takes_registers
        if model.num_positions is None and not has_registers:
            self.leave_out("pos_embed", f"the model has position={model.position!r}")
            return
        counts = [self.state[name][1].shape[1] if name in self.state else 0 for name in PREFIX]
        prefix, places, source = split_table(key, table, counts, grid, decides=is_given)
        if model.num_positions is None and grid is not None and grid[0] * grid[1] != places.shape[1]:
            raise ValueError(f"grid must have as many places as {key}, {places.shape[1]}, got {grid}")
        if prefix[2] is not None and has_registers:
            register_key, registers = self.state.pop("reg_token")
            self.put("reg_token", registers + prefix[2], register_key, f"with its rows of {key} added")
        if model.num_positions is None:
            self.leave_out("pos_embed", f"the model has position={model.position!r}")
            return
        del self.state["pos_embed"]
        grid = grid or source
        changes = []
        if source != grid:
            places = fit_table(places, source, grid)
            changes.append(f"{source[0]}x{source[1]} resampled to {grid[0]}x{grid[1]}")
        rows, mine = [], model.pos_embed.detach()
        tokens = [name for name in PREFIX[:2] if getattr(model, name) is not None and not self._joins_late(name)]
        for i, name in enumerate(tokens):
            row = prefix[PREFIX.index(name)]
            if row is not None:
                rows.append(row)
            elif name in self.state:
                rows.append(torch.zeros_like(mine[:, :1], dtype=table.dtype, device=table.device))
                changes.append(f"zeros in the row of {name}, which has none there")
            else:
                rows.append(mine[:, i : i + 1].to(table))
                changes.append(f"the model's own row of {name}")
        for name, part in zip(PREFIX, prefix, strict=True):
            if part is not None and name not in tokens and not (name == "reg_token" and "reg_token" in self.values):
                changes.append(f"without the row of {name}")
        self.put("pos_embed", torch.cat([*rows, places], dim=1), key, "; ".join(changes) or None)

    def _joins_late(self, name: str) -> bool:
        return name == "cls_token" and self.model.pool == "class_attention"

    def _take_projection(self) -> None:
        """The projection of patches."""
        name = "patch_embed.proj.weight"
        if isinstance(self.model.patch_embed, ConvStem):
            for parameter in self.parameters:
                if parameter.startswith("patch_embed."):
                    self.keep(parameter, "of stem='conv', which no ViT has")
            for key in ("patch_embed.proj.weight", "patch_embed.proj.bias"):
                self.leave_out(key, "the model has stem='conv'")
        elif name in self.state:
            key, weight = self.state.pop(name)
            weight, changes = fit_projection(key, weight, self.model.patch_size, self.model.in_chans)
            if self.model.alpha_channel:
                weight = torch.cat([weight, torch.zeros_like(weight[:, :1])], dim=1)
                changes.append("zeros for alpha")
            self.put(name, weight, key, "; ".join(changes) or None)

    def _take_head(self, head: str) -> None:
        """A head, if it has the model's classes."""
        name, classes = f"{head}.weight", self.model.num_classes
        names = (name, f"{head}.bias")
        if name not in self.parameters:
            for one in names:
                self.leave_out(one, "the model has no distillation token")
        elif name not in self.state:
            for one in names:
                self.keep(one, "the state dict has none")
        elif self.state[name][1].ndim == 2 and (count := self.state[name][1].shape[0]) != classes:
            for one in names:
                self.leave_out(one, f"{count} classes, the model has {classes}")
                self.keep(one, f"a head for {classes} classes")

    def take_trunk(self) -> None:
        """What the blocks have in more than one form."""
        for i in range(len(self.model.blocks)):
            for scale, layer in (("ls1", "attn.proj"), ("ls2", "mlp.fc2")):
                gamma = f"blocks.{i}.{scale}.gamma"
                if gamma in self.parameters and gamma not in self.state:
                    self.put(gamma, torch.ones_like(self.parameters[gamma]), gamma, "ones: the state dict has none")
                elif gamma in self.state and gamma not in self.parameters:
                    key, factor = self.state.pop(gamma)
                    for kind in ("weight", "bias"):
                        name = f"blocks.{i}.{layer}.{kind}"
                        if name in self.state:
                            value = self.pop(name)
                            if factor.ndim != 1 or factor.shape[0] != value.shape[0]:
                                raise ValueError(
                                    f"{key} must have shape ({value.shape[0]},) as {name} has rows, "
                                    f"got {tuple(factor.shape)}"
                                )
                            value = value * (factor[:, None] if kind == "weight" else factor)
                            self.put(name, value, name, f"times {key}")
            bias = f"blocks.{i}.attn.qkv.bias"
            if bias not in self.state and f"blocks.{i}.attn.qkv.weight" in self.state:
                self.put(bias, torch.zeros_like(self.parameters[bias]), bias, "zeros: the state dict has none")

    def take_rest(self) -> None:
        """What has one name and one shape, and nothing may be left over on either side."""
        done = self.values.keys() | self.kept.keys()
        missing = []
        for name in self.parameters:
            if name in done:
                continue
            if name in self.state:
                key, value = self.state.pop(name)
                self.put(name, value, key)
            else:
                missing.append(name)
        if self.state:
            keys = [key for key, _ in self.state.values()]
            raise ValueError(f"state_dict must hold keys that have a place in the model, got {_listed(keys)}")
        if missing:
            raise ValueError(f"state_dict must hold every weight that ViTs have; it lacks {_listed(missing)}")


def _check_grid(grid: tuple[int, int] | None, model: SViT, takes_registers: bool) -> tuple[int, int] | None:
    """The grid of the model's table; if it has none, what was given for the table that its registers come from."""
    if grid is not None:
        if not isinstance(grid, tuple) or len(grid) != 2:
            raise TypeError(f"grid must be (rows, columns) or None, got {describe(grid)}")
        rows, columns = (check_int("grid", count, minimum=1) for count in grid)
        if model.num_positions is None and not takes_registers:
            raise ValueError(f"grid must be None for a model with position={model.position!r}, got {grid}")
        if model.num_positions is not None and rows * columns != model.num_positions:
            raise ValueError(f"grid must have as many places as the model, {model.num_positions}, got {grid}")
        return rows, columns
    if model.num_positions is None:
        return None
    side = round(model.num_positions**0.5)
    if side**2 != model.num_positions:
        raise ValueError(f"grid must be given: the model has {model.num_positions} positions, which is no square")
    return side, side


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shorten(names: list[str]) -> list[str]:
    """Names that differ in the number of the block alone, as one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"^(blocks\.)\d+", r"\1*", name), []).append(name)
    return [short if len(group) > 1 else group[0] for short, group in groups.items()]
