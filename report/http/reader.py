"""Who asks, and what that one may read."""

import hmac
from enum import Enum, auto

from ingest.sites import tokens
from ingest.sites.document import Sites
from report.problem import Code, Problem

NO_SITES = Sites({})


class Audience(Enum):
    """Whom a path answers."""

    ANYBODY = auto()
    READERS = auto()  # who shows a token of any site
    READERS_OF_SITE = auto()  # who may read the site that is asked for: its `get` checks that
    OPERATOR = auto()


class Reader:
    """The operator reads everything; who shows a reader's token, the sites that have it; and
    everybody those that are public. Of a site that it may not read nobody learns whether there is
    one: this looks at its name alone."""

    __slots__ = ("_open", "is_operator", "own")

    def __init__(
        self,
        is_operator: bool = False,
        own: frozenset[str] = frozenset(),
        public: frozenset[str] = frozenset(),
    ) -> None:
        self.is_operator = is_operator
        self.own = own  # the sites that its token is for
        self._open = public

    @property
    def is_known(self) -> bool:
        return self.is_operator or bool(self.own)

    def may_ask(self, audience: Audience) -> bool:
        """A path of this audience anything at all."""
        match audience:
            case Audience.ANYBODY:
                return True
            case Audience.READERS:
                return self.is_known
            case Audience.READERS_OF_SITE:
                return self.is_known or bool(self._open)
        return self.is_operator

    def check(self, site: str | None) -> None:
        """Raises Problem unless it may read this site; None: every one."""
        if not (self.is_operator or site in self.own or site in self._open):
            raise self.refusal()

    def refusal(self) -> Problem:
        if self.is_known:
            return Problem(Code.FORBIDDEN, "Your token is for other sites.")
        return Problem(Code.UNAUTHORIZED, "Send Authorization: Bearer and the token.")


OPERATOR = Reader(is_operator=True)


def reader_of(authorization: bytes, operators_token: str, sites: Sites = NO_SITES) -> Reader:
    """Raises Problem for a token that there is not. An empty `operators_token`: whoever asks is
    the operator."""
    if not operators_token:
        return OPERATOR
    if not authorization:
        return Reader(public=sites.public)
    if hmac.compare_digest(authorization, b"Bearer " + operators_token.encode()):
        return OPERATOR
    # by its hash, which nobody can steer: how long that takes tells nothing of other tokens
    own = sites.readable.get(tokens.shown(authorization) or "")
    if own is None:
        raise Reader().refusal()
    return Reader(own=own, public=sites.public)
