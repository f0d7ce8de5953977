"""Each trainer takes a batch of rows and trains on the tokens whose labels are there, and on no others."""

import torch
from transformers import DataCollatorWithFlattening
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

NO_LOSS = -100


def pieces(row):
    start = 0
    for length in row["seq_lengths"]:
        yield slice(start, start + length)
        start += length


def restarting_positions(rows):
    return [position for row in rows for length in row["seq_lengths"] for position in range(length)]


def test_a_plain_loop_has_loss_where_labels_are(rows):
    input_ids = torch.tensor([row["input_ids"] for row in rows])
    labels = torch.tensor([row["labels"] for row in rows])
    size = int(input_ids.max()) + 1
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(size, 8), torch.nn.Linear(8, size))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    losses = []
    for _ in range(3):
        logits = model(input_ids)[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, size), labels[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]
    # By hand: the mean over the labels that are there, each predicted from the token before it.
    trained = [(row["input_ids"][at - 1], label) for row in rows for at, label in enumerate(row["labels"]) if at and label != NO_LOSS]
    with torch.no_grad():
        logits = model(torch.tensor([before for before, _ in trained]))
        by_hand = torch.nn.functional.cross_entropy(logits, torch.tensor([label for _, label in trained]))
        again = torch.nn.functional.cross_entropy(model(input_ids)[:, :-1].reshape(-1, size), labels[:, 1:].reshape(-1))
    assert torch.allclose(by_hand, again)


def test_the_flattening_collator_keeps_documents_apart(rows):
    features = [
        {"input_ids": row["input_ids"][piece], "labels": row["labels"][piece]} for row in rows for piece in pieces(row)
    ]
    batch = DataCollatorWithFlattening(return_flash_attn_kwargs=True)(features)
    assert batch["input_ids"].flatten().tolist() == [token for row in rows for token in row["input_ids"]]
    assert batch["position_ids"].flatten().tolist() == restarting_positions(rows)
    lengths = [length for row in rows for length in row["seq_lengths"]]
    assert batch["cu_seq_lens_q"].diff().tolist() == lengths
    expected = [
        NO_LOSS if at == piece.start else row["labels"][at]
        for row in rows
        for piece in pieces(row)
        for at in range(piece.start, piece.stop)
    ]
    assert batch["labels"].flatten().tolist() == expected


def test_packed_data_of_trl_has_positions_and_loss_of_its_documents(rows):
    columns = ("input_ids", "labels", "seq_lengths")
    examples = [{name: row[name] for name in columns} for row in rows]
    batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(examples)
    assert batch["input_ids"].flatten().tolist() == [token for row in rows for token in row["input_ids"]]
    positions = restarting_positions(rows)
    assert batch["position_ids"].flatten().tolist() == positions
    labels = [label for row in rows for label in row["labels"]]
    # Nothing predicts the first token of a document, which TRL masks itself.
    expected = [NO_LOSS if position == 0 else label for position, label in zip(positions, labels)]
    assert batch["labels"].flatten().tolist() == expected
