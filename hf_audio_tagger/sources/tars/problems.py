"""Why a tar cannot be read to its end. Raised and caught where tars are read."""


class BrokenTarError(Exception):
    """A tar that cannot be read any further. The sample before is whole as far as can be told."""


class CutSampleError(BrokenTarError):
    """The bytes stop within a sample, which is not whole then."""
