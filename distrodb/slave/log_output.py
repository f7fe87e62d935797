"""Where a slave's log goes: standard error, in the format that its file says."""

import logging
import sys
from datetime import UTC, datetime

from distrodb.config import SlaveConfig
from distrodb.slave.log_format import as_json, as_logfmt, as_text, fields_of


class Formatter(logging.Formatter):
    def __init__(self, node: str, form: str):
        super().__init__()
        self._node, self._form = node, form

    def format(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        utc = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = fields_of(record, self._node, utc.replace("+00:00", "Z"), trace)
        if self._form == "json":
            return as_json(fields)
        if self._form == "logfmt":
            return as_logfmt(fields)
        return as_text(fields, self.formatTime(record))


def begin(config: SlaveConfig) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(config.id, config.log_format))
    logging.basicConfig(level=config.log_level.upper(), handlers=[handler])
