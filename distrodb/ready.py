"""``distrodb ready FILE``: whether the slave of a file is ready, asked at its own HTTP port from
its own machine; and why not, if who asks may read the slave's directory (ready_token.py).  For
health checks of containers, and to wait for a slave before the next one is restarted.

0: it is · 1: it is not, or does not answer · 2: the file is wrong, or names no HTTP port.
"""

import http.client
import ssl
import urllib.error
import urllib.request

from distrodb import ready_token
from distrodb.clock import monotonic, sleep
from distrodb.config import SlaveConfig, problem
from distrodb.config.address import Address
from distrodb.errors import UnavailableError
from distrodb.patience import patience

ANSWER_S = 5.0
POLL_S = 0.2
WORDS_MAX = 500  # of an answer, that are shown
STRANGER = "not ready"  # what a slave says to everybody
_NOBODY = "nothing listens there; start the slave, or see in its log why it has ended"
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")  # OpenSSL's words


def run(config: SlaveConfig, wait_s: float) -> int:
    """Raises ``ConfigError``, ``UnavailableError``."""
    bind = config.me.http_bind
    if bind is None:
        remedy = 'write http = "PORT" into its row, and start the slave again'
        raise problem(config.file, "cluster.nodes.http", "is missing", remedy)
    at = (
        Address("127.0.0.1" if "." in bind.host else "::1", bind.port) if bind.is_wildcard else bind
    )
    scheme = "http" if config.tls.of_http == "off" else "https"
    url, context = f"{scheme}://{at}/readyz", _context(config)
    handlers = [] if context is None else [urllib.request.HTTPSHandler(context=context)]
    # Straight there, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
    until = monotonic() + wait_s
    said = None
    with patience(lambda: f"{config.id} at {at}: {said}" if said else f"{config.id} at {at}"):
        while (said := _ask(opener, url, ready_token.read(config.directory))) is not None:
            if monotonic() >= until:
                raise UnavailableError(f"{config.id} at {at}: {said}")
            sleep(POLL_S)
    print(f"{config.id} is ready")
    return 0


def _ask(opener: urllib.request.OpenerDirector, url: str, token: str) -> str | None:
    """What is against it; None if nothing is.  ``token``: a new one with each start."""
    # Whom a stranger asks is not told why, so that he hears of no other slaves.
    headers = {"Authorization": f"{ready_token.SCHEME} {token}"} if token else {}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=ANSWER_S):
            return None
    except urllib.error.HTTPError as error:
        with error:
            lines = error.read(WORDS_MAX).decode(errors="replace").splitlines()
        if error.code != http.HTTPStatus.SERVICE_UNAVAILABLE or not lines:
            return f"it answers {error.code}; is this a slave's HTTP port?"
        if lines == [STRANGER]:
            return f"{STRANGER}; run this as the slave's own user to be told why, or see its log"
        return f"{STRANGER}: {'; '.join(lines)}"
    except ConnectionRefusedError:
        return _NOBODY
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ConnectionRefusedError):
            return _NOBODY
        said = str(getattr(reason, "strerror", None) or reason)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"its certificate is not taken ({reason.verify_message}); see [tls] ca"
        if isinstance(reason, ssl.SSLError) and reason.reason in _NO_TLS:
            return "it does not speak TLS, as its file says; start it again with this file"
        if isinstance(reason, (http.client.HTTPException, ConnectionResetError)):
            return f"what it answers is no HTTP ({said}); does it run with this file ([tls] http)?"
        return said


def _context(config: SlaveConfig) -> ssl.SSLContext | None:
    """It is this machine's own port: whose certificate it shows is looked at where the file names
    an authority, by which the slave itself would be let in."""
    tls = config.tls
    if tls.of_http == "off":
        return None
    has_ca = tls.ca.name != ""
    context = ssl.create_default_context(cafile=str(tls.ca) if has_ca else None)
    context.check_hostname = False  # it may be asked at another address than others do
    if tls.of_http == "certificate":
        context.load_cert_chain(tls.certificate, tls.key)
    return context
