"""Former and later names of hyperparameters, so that states saved by older versions load."""

from collections.abc import Mapping
from typing import Any

FIELDS = {  # rule: former name, present name
    "Adafactor": {"measure": "size_measured_at"},
    "Muon": {
        "reach": "shape_scale",
        "share": "lr_scale",
        "mean": "ema",
        "adam_share": "adam_lr_scale",
    },
}
# rule: fields that came later, and the value that is meant where they are not saved
LATER: dict[str, dict[str, Any]] = {
    "Adam": {"bias_correction": True},
    "LAMB": {"bias_correction": True},
}
VALUES = {"shape_scale": {"TALL": "ASPECT_RATIO", "LONG": "LONGER_SIDE"}}  # field: former, present


def present_names(rule: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The saved values with the names that the hyperparameters of ``rule`` have today.

    Other entries stay as they are, and fields that came later are added. ValueError if a
    hyperparameter comes under both of its names.
    """
    fields = FIELDS.get(rule, {})
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        field = fields.get(name, name)
        if field != name and field in values:
            raise ValueError(f"{rule}'s {name} is now called {field}; the saved values have both")
        former = VALUES.get(field, {}) if field != name else {}
        renamed[field] = former[value] if isinstance(value, str) and value in former else value
    return {**LATER.get(rule, {}), **renamed}
