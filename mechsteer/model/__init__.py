"""A model behind one interface: loaded, identified, read at hook points, its neurons found."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
