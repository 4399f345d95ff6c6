"""Nobody sits before a test: what the panel would ask or show is written down here, and the answers are queued beforehand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


class UnansweredQuestion(AssertionError):
    """The panel asked something for which the test had queued no answer, or not this one."""


@dataclass(frozen=True)
class Message:
    """What was shown without waiting for a reply: `kind` is "error", "warning", "info" or "delay"."""

    kind: str
    text: str
    title: str = ""
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What waited for a reply; `dialog` is the window itself where the panel had made one."""

    kind: str
    title: str
    text: str
    options: dict = field(default_factory=dict)
    dialog: object = None


class Questions:
    """Everything asked, shown and opened during one test."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.shown: list[Message] = []
        self.opened: list[str] = []
        """Addresses handed to the desktop (QDesktopServices.openUrl)."""
        self._answers: deque = deque()

    def answer(self, reply, containing: str = "") -> None:
        """Queue the reply to the next question.

        Args:
            reply: what the function returns (True or False of a confirmation, a path of a file dialog, a standard button or the
                text of a button of a message box), or a function that takes the Question, may work the dialog, and returns it.
            containing: words that the question's title or text must hold, else the test fails.
        """
        self._answers.append((reply, containing))

    @property
    def unused_answers(self) -> list:
        return [reply for reply, _ in self._answers]

    def ask(self, kind: str, title: str, text: str, dialog=None, **options):
        question = Question(kind, title or "", text or "", options, dialog)
        self.asked.append(question)
        if not self._answers:
            raise UnansweredQuestion(f"no answer was queued for {kind}: {title!r}: {text!r}")
        reply, containing = self._answers.popleft()
        if containing not in f"{question.title}\n{question.text}":
            raise UnansweredQuestion(f"the answer was meant for a question with {containing!r}, this is {title!r}: {text!r}")
        return reply(question) if callable(reply) else reply

    def show(self, kind: str, text: str, title: str | None = None, **options) -> None:
        self.shown.append(Message(kind, text, title or "", options))

    def texts(self, kind: str) -> list[str]:
        """What was shown of one kind, in order."""
        return [message.text for message in self.shown if message.kind == kind]
