"""SHA-256 of what is small, without OpenSSL's, which takes longer to load than to hash all that."""

from __future__ import annotations


def sha256(content: bytes) -> str:
    """Its 64 hexadecimal digits."""
    # What hashlib takes when it cannot have OpenSSL's
    try:
        from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]  # Python 3.12
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            from hashlib import sha256
    return str(sha256(content).hexdigest())


def fingerprint(content: bytes) -> str:
    """The first 16 of them: they tell apart what nobody makes on purpose."""
    return sha256(content)[:16]
