"""Where neurons live in a model: hook points of every layer, checked against the weights."""

from mechsteer.model.sites.find import (
    SITES,
    SiteRow,
    find_site,
    is_known,
    require_once,
    require_tokens,
    require_width,
    site_table,
)
from mechsteer.model.sites.path import direct_path
from mechsteer.model.sites.points import HookSite, Site
from mechsteer.model.sites.residual import residual_points
from mechsteer.model.stacks import Stack

__all__ = [
    "SITES",
    "HookSite",
    "Site",
    "SiteRow",
    "Stack",
    "direct_path",
    "find_site",
    "is_known",
    "require_once",
    "require_tokens",
    "require_width",
    "residual_points",
    "site_table",
]
