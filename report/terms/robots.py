"""Whether robots count: an event is a robot's if it has a class of them in `bot`.

An event whose agent nobody looked at has none, and counts. Who asks of `bot` asks of robots, too.
"""

from typing import Literal

Bots = Literal["exclude", "include", "only"]
CONDITIONS: dict[Bots, str] = {
    "exclude": " AND bot IS NULL",
    "include": "",
    "only": " AND bot IS NOT NULL",
}
BOT = "bot"  # the dimension
WORDS = (
    "Whether robots count: exclude (the default, unless `bot` is asked of), include,"
    " or only them. They are known by their agent, where one was looked at."
)
