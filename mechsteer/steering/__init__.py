"""Edits on a running model: where they act, for how long, and what is left behind: nothing."""

from mechsteer.steering.embedding import embed_steered
from mechsteer.steering.positions import Positions
from mechsteer.steering.scope import Steering, steer
from mechsteer.steering.state import name_of, state_of

__all__ = ["Positions", "Steering", "embed_steered", "name_of", "state_of", "steer"]
