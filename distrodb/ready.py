"""``distrodb ready FILE``: whether the slave of a file is ready, asked at its own HTTP port from
its own machine.  For health checks of containers, and to wait for a slave before the next one is
restarted.

0: it is · 1: it is not, or does not answer · 2: the file is wrong, or names no HTTP port.
"""

import http.client
import ssl
import urllib.error
import urllib.request

from distrodb.clock import monotonic, sleep
from distrodb.config import SlaveConfig, problem
from distrodb.config.address import Address
from distrodb.errors import UnavailableError

ANSWER_S = 5.0
POLL_S = 0.2
WORDS_MAX = 500  # of an answer, that are shown


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
    # A stranger is not told why it is not ready: its log, and `distrodb status`, say so.
    url, context = f"{scheme}://{at}/readyz", _context(config)
    handlers = [] if context is None else [urllib.request.HTTPSHandler(context=context)]
    # Straight there, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
    until = monotonic() + wait_s
    while (said := _ask(opener, url)) is not None:
        if monotonic() >= until:
            raise UnavailableError(f"{config.id} at {at}: {said}")
        sleep(POLL_S)
    print(f"{config.id} is ready")
    return 0


def _ask(opener: urllib.request.OpenerDirector, url: str) -> str | None:
    """What is against it; None if nothing is."""
    try:
        with opener.open(url, timeout=ANSWER_S):
            return None
    except urllib.error.HTTPError as error:
        with error:
            words = error.read(WORDS_MAX).decode(errors="replace")
        return " ".join(words.split()) or f"it answers {error.code}"
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or reason)


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
