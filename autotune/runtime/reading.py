"""Turns texts into tokens as the plan's requests were made of them: prompt, lower case, where they end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.errors import ServingError
from autotune.runtime.planned import PlannedInstance

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.inputs import InputsDescription
    from autotune.model.stream import StreamDescription

TOKENIZER_FILE = "tokenizer.json"
TextOrPair = str | tuple[str, str]


@dataclass(frozen=True)
class Tokens:
    """One sequence: its token ids, and of which of two texts each is."""

    ids: np.ndarray[Any, Any]
    types: np.ndarray[Any, Any]

    def __len__(self) -> int:
        """Tokens of the sequence."""
        return len(self.ids)


class TextReader:
    """Reads texts with the model's own tokenizer; any number of threads may call it at once."""

    def __init__(self, file: Path, inputs: InputsDescription, longest: int) -> None:
        """Load the tokenizer, and have its threads start: an engine counts its own from there.

        Args:
            longest: tokens that texts are cut to.

        Raises:
            ServingError: the file is no tokenizer.
        """
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises Exception itself
            raise ServingError(
                f"{file} is not a tokenizer: {error}", remedy="name the model's own: load(tokenizer=FILE)"
            ) from error
        if inputs.lower_case:
            self._lower()
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        self.longest = longest
        self.prompt = inputs.prompt
        self._vocabulary = inputs.vocabulary
        self._tokenizer.encode_batch(["a", "b"])

    def read(self, texts: Sequence[TextOrPair], prompt: str | None = None) -> list[Tokens]:
        """Give the tokens of each text, or pair of texts.

        Args:
            prompt: what is put before each text; None = what the model's folder says.

        Raises:
            ServingError: one of them is no text, or has tokens that the model does not know.
        """
        import numpy as np

        before = self.prompt if prompt is None else prompt
        encodings = self._encode([_prompted(text, before) for text in texts])
        read = [
            Tokens(np.array(encoding.ids, dtype=np.int64), np.array(encoding.type_ids, dtype=np.int64))
            for encoding in encodings
        ]
        for text, tokens in zip(texts, read, strict=True):
            if not len(tokens) or tokens.ids.max() >= self._vocabulary:
                what = "no token" if not len(tokens) else f"the token {tokens.ids.max()}"
                raise ServingError(
                    f"the tokenizer makes {what} of {text!r:.60}, which the model cannot take",
                    remedy="give a text that is not empty, and the model's own tokenizer",
                )
        return read

    def _encode(self, texts: list[TextOrPair]) -> list[Any]:
        try:
            encodings: list[Any] = self._tokenizer.encode_batch(texts)
        except TypeError as error:  # of half a character; the library says that it is no text
            wrong = next((text for text in texts if not _is_whole("".join(text))), texts[0])
            raise ServingError(
                f"{wrong!r:.60} has half a character (a lone surrogate), which no tokenizer reads",
                remedy="decode texts with errors='replace'",
            ) from error
        return encodings

    def _lower(self) -> None:
        from tokenizers import normalizers

        own = [] if self._tokenizer.normalizer is None else [self._tokenizer.normalizer]
        self._tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])


def find_tokenizer(planned: PlannedInstance, named: Path | str | None = None) -> Path | None:
    """Find the model's tokenizer: the one that is named, or that of the plan's requests or model.

    Raises:
        ServingError: the one that is named is not there.
    """
    if named is not None:
        file = Path(named) / TOKENIZER_FILE if Path(named).is_dir() else Path(named)
        if not file.is_file():
            raise ServingError(f"there is no tokenizer {file}", remedy="name a tokenizer.json")
        return file
    folders = (planned.requests, planned.folder, planned.artifact)
    files = (folder / TOKENIZER_FILE for folder in folders if folder is not None)
    return next((file for file in files if file.is_file()), None)


def longest_text(inputs: InputsDescription, stream: StreamDescription | None) -> int:
    """Tokens that texts are cut to: as the study says, else as the model's folder does."""
    if inputs.sequence_length is not None:
        return inputs.sequence_length
    if stream is not None and stream.cut_to is not None:
        return stream.cut_to
    if stream is not None and stream.tokenizes:  # made by a version that did not note where it cut
        return stream.longest
    return inputs.text_tokens


def padding_token(planned: PlannedInstance, stream: StreamDescription | None) -> int:
    """What fills sequences up: as in the plan's requests, else as the model or its tokenizer says; else 0."""
    if stream is not None:
        return stream.pad_token
    folders = [folder for folder in (planned.folder, planned.artifact) if folder is not None]
    stated = [
        *(_object(folder / "config.json").get("pad_token_id") for folder in folders),
        *((_object(folder / TOKENIZER_FILE).get("padding") or {}).get("pad_id") for folder in folders),
    ]
    return next((token for token in stated if isinstance(token, int) and token >= 0), 0)


def _object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_whole(text: str) -> bool:
    """Whether it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _prompted(text: TextOrPair, prompt: str) -> TextOrPair:
    if isinstance(text, str):
        return prompt + text
    if isinstance(text, list | tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return prompt + text[0], text[1]
    raise ServingError(f"{text!r:.60} is not a text, nor a pair of texts", remedy="give str, or (str, str)")
