"""Zero-shot transfer: a light probe trained in one language and tested in all, edited or not."""

from mechsteer.transfers.findings import Transfer
from mechsteer.transfers.options import TransferOptions
from mechsteer.transfers.run import transfer

__all__ = ["Transfer", "TransferOptions", "transfer"]
