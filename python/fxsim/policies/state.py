"""Checks on saved states that all policies share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def check_policy(state: Mapping[str, Any], name: str) -> None:
    """Raise ValueError unless the state was saved by the policy of this name."""
    saved = state.get("policy")
    if saved != name:
        raise ValueError(
            f"load_state_dict: the state was saved by policy {saved!r}, this one is {name!r}; "
            f"build the policy that the run was started with"
        )


def check_settings(state: Mapping[str, Any], name: str, settings: Mapping[str, str]) -> None:
    """Raise ValueError, naming what differs, unless the state was saved under these settings."""
    check_policy(state, name)
    saved = state.get("settings", {})
    for key in sorted({*saved, *settings}):
        was, is_now = saved.get(key, "absent"), settings.get(key, "absent")
        if was != is_now:
            raise ValueError(
                f"load_state_dict: the state was saved with {key} = {was}, this {name} policy has {is_now}; "
                f"build it with the settings that the run was started with"
            )
