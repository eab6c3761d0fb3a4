"""A model behind one interface: loaded, identified, read at hook points, its neurons found."""
