# SPDX-License-Identifier: Apache-2.0
"""Stream chat JSONL through a tokenizer into packed tensors; save in the middle, resume.

    python examples/chat_to_packed.py

It needs tokenizers and torch (pip install '.[examples]') and no download: the
conversations are made up, and the tokenizer is trained on them. Replace `write_chat` and
`train_tokenizer` by a file and a tokenizer of your own; the rest stays as it is.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from fast_axolotl import PackOptions, StreamingDataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    Batch = dict[str, Any]

LENGTH = 256  # tokens in a packed row
MASKED = -100  # the label that cross-entropy leaves out
PAD, END = "<|pad|>", "<|end|>"
ROLES = ("system", "user", "assistant")
SPECIAL = [PAD, END, *(f"<|{role}|>" for role in ROLES)]


# --- stand-ins for your data and your tokenizer ---------------------------------------


def write_chat(path: Path, conversations: int) -> None:
    """Write one conversation a line: {"messages": [{"role", "content"}, ...]}."""
    rng = random.Random(1)  # noqa: S311  (no secrets here)
    things = ["river", "lamp", "orbit", "garden", "copper", "violin", "harbour", "paper"]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(conversations):
            messages = [{"role": "system", "content": "You count things."}]
            for _ in range(rng.randint(1, 4)):
                a, b, thing = rng.randint(2, 99), rng.randint(2, 99), rng.choice(things)
                question = f"I had {a} of {thing} and got {b} more. How many?"
                answer = f"{a} + {b} = {a + b}, so you have {a + b} of {thing}."
                messages += [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ]
            file.write(json.dumps({"messages": messages}) + "\n")


def train_tokenizer(path: Path) -> Tokenizer:
    """Train a small byte-level BPE on all that is said in the file."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, show_progress=False
    )
    texts = (
        message["content"]
        for row in StreamingDataset(path).rows()
        for message in row["messages"]
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


# --- from rows to tokens --------------------------------------------------------------


class ChatTokenizer:
    """Makes token lists of a batch of conversations, with the assistant's as labels.

    A class and no closure, so that it can be pickled for workers that are spawned.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(self, batch: Batch) -> dict[str, list[list[int]]]:
        # One call for all texts: it runs on all cores and without the GIL.
        texts = [
            text
            for messages in batch["messages"]
            for message in messages
            for text in (f"<|{message['role']}|>", message["content"] + END)
        ]
        encoded = iter(self.tokenizer.encode_batch(texts, add_special_tokens=False))
        rows: list[list[int]] = []
        labels: list[list[int]] = []
        for messages in batch["messages"]:
            row: list[int] = []
            label: list[int] = []
            for message in messages:
                head, body = next(encoded).ids, next(encoded).ids
                row += head + body
                label += [MASKED] * len(head)
                learnt = message["role"] == "assistant"
                label += body if learnt else [MASKED] * len(body)
            rows.append(row)
            labels.append(label)
        return {"input_ids": rows, "labels": labels}


def packed_batches(path: Path, tokenizer: Tokenizer) -> StreamingDataset:
    """Return the dataset: the same arguments before and after a restart."""
    return StreamingDataset(
        path,
        batch_size=2,  # packed rows
        columns=["messages"],
        shuffle=True,
        seed=1,
        output="torch",
        transform=ChatTokenizer(tokenizer),
        pack=PackOptions(
            LENGTH, pack_window=128, pad_token_id=tokenizer.token_to_id(PAD)
        ),
    )


# --- a stand-in for your model --------------------------------------------------------


class Bigram(torch.nn.Module):
    """The smallest model with a loss: each token predicts the next one of its row."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(vocabulary, vocabulary)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        # No sequence learns from the one before it: the first label of each is masked.
        logits = self.table(input_ids[:, :-1])
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=MASKED
        )


def train(model: Bigram, dataset: StreamingDataset) -> Iterator[tuple[Batch, float]]:
    """Go through the rest of the epoch; yield each batch and its loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    for batch in dataset:
        loss = model(batch["input_ids"], batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield batch, loss.item()


def equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.as_tensor(one[name]), torch.as_tensor(other[name]))
        for name in one
    )


def show(batch: Batch, tokenizer: Tokenizer) -> None:
    for name, value in batch.items():
        tensor = torch.as_tensor(value)
        print(f"  {name:13}", tuple(tensor.shape) if tensor.ndim > 1 else tensor.tolist())
    first = batch["sequence_ids"][0] == 1  # the first sequence of the first row
    learnt = batch["labels"][0][first & (batch["labels"][0] != MASKED)]
    print("  a sequence:", tokenizer.decode(batch["input_ids"][0][first].tolist(), False))
    print("  its labels:", tokenizer.decode(learnt.tolist(), False))


def main(folder: Path) -> None:
    path, saved = folder / "chat.jsonl", folder / "state.json"
    write_chat(path, conversations=500)
    tokenizer = train_tokenizer(path)
    model = Bigram(tokenizer.get_vocab_size())

    dataset = packed_batches(path, tokenizer)
    rest: list[Batch] = []
    losses: list[float] = []
    for step, (batch, loss) in enumerate(train(model, dataset), 1):
        losses.append(loss)
        if step == 1:
            print("The first batch:")
            show(batch, tokenizer)
        if step > 20:
            rest.append(batch)
        if step == 20:  # a checkpoint of the data, beside that of the model
            saved.write_text(json.dumps(dataset.state_dict()))
    print(f"{len(losses)} steps, loss {losses[0]:.2f} to {losses[-1]:.2f}")
    print(dataset.stats())

    # As after a crash: all that is left is the file.
    resumed = packed_batches(path, tokenizer)
    resumed.load_state_dict(json.loads(saved.read_text()))
    again = list(resumed)
    if len(again) != len(rest) or not all(map(equal, again, rest)):
        raise SystemExit("the batches differ")
    print(f"Resumed after batch 20: the {len(again)} batches that follow are the same.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # The index of a file that is gone in a moment need not stay in your cache.
        os.environ.setdefault("FAST_AXOLOTL_CACHE", folder)
        main(Path(folder))
