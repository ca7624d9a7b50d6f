"""The door for partners, port 25: STARTTLS, then a client certificate, then mail for us.

Promise: no AUTH here, no mail in clear text. The certificate becomes facts of :class:`policies.values.Peer`; whether it
is missing, revoked or of a stranger is for :meth:`gateway.smtp.transaction.Intake.session` to say, by rule
(MSS-030..034).
Failure: as :mod:`gateway.smtp.dialogue`.
"""

from __future__ import annotations

from gateway.smtp.dialogue import Dialogue


class Inbound(Dialogue):
    """A partner's connection."""
