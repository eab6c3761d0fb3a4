from .findings import Transfer as Transfer
from .options import TransferOptions as TransferOptions
from .run import transfer as transfer
