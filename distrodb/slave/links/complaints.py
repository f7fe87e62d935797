"""What is wrong with links, in the log, but not each second: dials are repeated for ever."""

from distrodb.slave.logging_limit import LimitedLog

REMIND_S = 600.0  # until the same complaint is logged again
COMPLAINTS_MAX = 256  # that are remembered
COMPLAINT_CHARACTERS_MAX = 600  # some of it may come from a stranger

log = LimitedLog("distrodb.peers")


class Complaints:
    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}

    def say(self, now: float, who: str, problem: object) -> None:
        who, why = (
            "".join(c if c.isprintable() else "?" for c in str(each)[:COMPLAINT_CHARACTERS_MAX])
            for each in (who, problem)
        )
        text = f"{who}: {why}"
        if now - self._logged_at.get(text, -REMIND_S) >= REMIND_S:
            if len(self._logged_at) >= COMPLAINTS_MAX:
                self._logged_at.clear()
            self._logged_at[text] = now
            log.say("link_refused", who, peer=who, problem=why)
