"""How fast the kernels are on this machine: what is timed, how, and beside which floors."""
