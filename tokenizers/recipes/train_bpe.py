"""Writes the text that the demo tokenizer is trained on: pages as minimal HTML, one stretch between images per line.

    python3 tokenizers/recipes/train_bpe.py --into data/bpe NAME=FOLDER...

Each NAME (a language, as a rule) becomes `train/NAME.txt` and `held-out/NAME.txt`, from the `.html` files below its
folders; a NAME may be given several times. One page in 50, by a hash of its path, is held out. Pages are read in the
order of that hash until a NAME has `--megabytes`. Needs Python 3.9 and nothing else. Then, from the repository root:

    cargo run --release -p pageloom-tokenizers --example train_bpe -- --vocab 8192 \
        --out tokenizers/models/demo-bpe/tokenizer.json --measure data/bpe/held-out data/bpe/train
"""

import argparse
import hashlib
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

KEPT_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"alt", "src", "title"},
    "meta": {"content", "name", "property"},
}
DROPPED_WITH_CONTENT = {"script", "style", "noscript", "template", "form", "iframe", "header", "footer", "svg"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
DROPPED_ALONE = {"link", "base", "html"}
HELD_OUT_ONE_IN = 50


class MinimalHtml(HTMLParser):
    """The page as minimal HTML: kept attributes in alphabetical order, whitespace collapsed, a line break in each `src`."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts = []
        self.dropping = []

    def handle_starttag(self, tag, attributes):
        if self.dropping or tag in DROPPED_WITH_CONTENT:
            if tag not in VOID:
                self.dropping.append(tag)
            return
        if tag in DROPPED_ALONE:
            return
        kept = sorted((name, value or "") for name, value in attributes if name in KEPT_ATTRIBUTES.get(tag, ()))
        # The image's tokens stand in `src`, so text before it and text after it never form one token.
        written = "".join(
            f' {name}="\n"' if (tag, name) == ("img", "src") else f' {name}="{escape(collapse(value))}"'
            for name, value in kept
        )
        self.parts.append(f"<{tag}{written}>")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if self.dropping:
            if tag in self.dropping:
                while self.dropping.pop() != tag:
                    pass
        elif tag not in VOID and tag not in DROPPED_ALONE:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data):
        if not self.dropping:
            self.parts.append(escape(collapse(data), quote=False))


def collapse(text):
    return re.sub(r"\s+", " ", text)


def minimal(page):
    parser = MinimalHtml()
    parser.feed(page)
    parser.close()
    return re.sub(r" +", " ", "".join(parser.parts)).strip()


def position(path, folder):
    return hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest()


def main():
    parser = argparse.ArgumentParser(description="Writes the text that the demo tokenizer is trained on.")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=4.0, help="of text at most for each NAME")
    parser.add_argument("sources", nargs="+", metavar="NAME=FOLDER")
    arguments = parser.parse_args()
    texts = {}
    for source in arguments.sources:
        name, folder = source.split("=", 1)
        pages = ((position(path, folder), path) for path in Path(folder).rglob("*.html"))
        for key, path in sorted(pages):
            train, held_out = texts.setdefault(name, ([], []))
            if sum(map(len, train)) > arguments.megabytes * 1e6:
                break
            try:
                page = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue  # In another encoding, or broken: replacement characters would be learnt as words.
            text = minimal(page).encode() + b"\n"
            (held_out if int.from_bytes(key[:4], "big") % HELD_OUT_ONE_IN == 0 else train).append(text)
    for name, of_name in sorted(texts.items()):
        for part, pages in zip(("train", "held-out"), of_name):
            path = arguments.into / part / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(pages))
            print(f"{path}: {len(pages)} pages, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
