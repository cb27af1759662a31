# SPDX-License-Identifier: Apache-2.0
"""accelerate, transformers' Trainer and plain loops, in processes of their own.

Every program writes down the rows that it was given; here they are put together.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest

ROWS = 203  # divides neither by the processes nor by a batch

for _name in ("torch", "datasets", "accelerate"):
    pytest.importorskip(_name, reason=f"{_name} is not installed")
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed",
)

# What all programs begin with: `seen` are the rows of this process, by step.
PRELUDE = """
import json, os, sys
import torch
import fast_axolotl

path, folder = sys.argv[1:3]
rank = int(os.environ.get("RANK", "0"))
world = int(os.environ.get("WORLD_SIZE", "1"))
seen = []


def see(batch):
    seen.append([int(i) for i in batch["id"]])


def write():
    with open(f"{folder}/{rank}.json", "w") as file:
        json.dump(seen, file)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("accelerate") / "rows.jsonl"
    with path.open("w") as file:
        for i in range(ROWS):
            tokens = [i % 7, 1, 2, i % 5]
            file.write(
                json.dumps({"id": i, "input_ids": tokens, "labels": tokens}) + "\n"
            )
    return path


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run(code, path, folder, *, processes=1, timeout=60):
    """Run a program in some processes; return what each of them saw."""
    script = folder / "program.py"
    script.write_text(PRELUDE + textwrap.dedent(code) + "\nwrite()\n")
    port = str(free_port())
    running = []
    for rank in range(processes):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "true",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
        }
        if processes > 1:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(processes),
                "LOCAL_WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
        with (folder / f"{rank}.log").open("w") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, script, str(path), str(folder)],
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                )
            )
    deadline = time.monotonic() + timeout
    try:
        for process in running:
            process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    logs = "".join((folder / f"{r}.log").read_text()[-2000:] for r in range(processes))
    assert [process.returncode for process in running] == [0] * processes, logs
    return [json.loads((folder / f"{r}.json").read_text()) for r in range(processes)]


def rows_of(seen):
    return Counter(i for steps in seen for step in steps for i in step)


# --- accelerate -----------------------------------------------------------------------


@pytest.mark.parametrize("dispatch", ["None", "False"])
@pytest.mark.parametrize("processes", [1, 2])
def test_prepare_deals_out_the_rows(path, tmp_path, processes, dispatch):
    """Either rank 0 reads and hands out, or each reads its shards."""
    seen = run(
        f"""
        from accelerate import Accelerator, DataLoaderConfiguration

        accelerator = Accelerator(
            cpu=True,
            dataloader_config=DataLoaderConfiguration(
                dispatch_batches={dispatch}, even_batches=False
            ),
        )
        assert accelerator.num_processes == world, accelerator.state
        data = fast_axolotl.StreamingDataset(path, shuffle=True, columns=["id"]).to_hf()
        loader = accelerator.prepare(torch.utils.data.DataLoader(data, batch_size=8))
        for batch in loader:
            see(batch)
        accelerator.end_training()
        """,
        path,
        tmp_path,
        processes=processes,
    )
    found = rows_of(seen)
    assert set(found) == set(range(ROWS))
    # Rank 0 fills up the last batch, so that all ranks get as many.
    extra = sum(found.values()) - ROWS
    assert extra <= (8 * processes if dispatch == "None" and processes > 1 else 0)
    if processes > 1:
        assert not set(seen[0][0]) & set(seen[1][0])
        steps = [len(steps) for steps in seen]
        assert max(steps) - min(steps) <= 1


def test_auto_is_refused_while_accelerate_is_in_charge(path, tmp_path):
    run(
        """
        from accelerate import Accelerator

        accelerator = Accelerator(cpu=True)
        data = fast_axolotl.StreamingDataset(path)
        try:
            next(iter(data))
        except RuntimeError as error:
            for words in ("to_hf()", "distributed=(rank, world)", '"off"'):
                assert words in str(error), error
        else:
            raise AssertionError("not refused")
        # Both explicit choices, and the rows.
        own = fast_axolotl.StreamingDataset(path, distributed=(rank, world), tail="keep")
        for batch in own:
            see(batch)
        off = fast_axolotl.StreamingDataset(path, distributed="off")
        assert sum(len(batch["id"]) for batch in off) == off.num_rows
        assert sum(1 for _ in data.to_hf()) == off.num_rows
        accelerator.end_training()
        """,
        path,
        tmp_path,
        processes=2,
    )
    seen = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert rows_of(seen) == Counter(range(ROWS))


# --- a plain loop ---------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loop_over_the_native_dataset(path, tmp_path, workers):
    seen = run(
        f"""
        import torch.distributed as dist

        dist.init_process_group("gloo")
        data = fast_axolotl.StreamingDataset(path, 8, shuffle=True, tail="keep")
        for batch in data.loader(num_workers={workers}):
            see(batch)
        dist.barrier()
        dist.destroy_process_group()
        """,
        path,
        tmp_path,
        processes=2,
    )
    assert rows_of(seen) == Counter(range(ROWS))
    assert abs(len(seen[0]) - len(seen[1])) <= 1


# --- Trainer --------------------------------------------------------------------------

TRAINER = """
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments


class Model(GPT2LMHeadModel):
    def forward(self, id=None, **inputs):
        if self.training:
            see({"id": id})
        return super().forward(**inputs)


model = Model(
    GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)
)
data = fast_axolotl.StreamingDataset(path, shuffle=True).to_hf()


def trainer(**options):
    arguments = TrainingArguments(
        output_dir=f"{folder}/out",
        per_device_train_batch_size=8,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
        **options,
    )
    return Trainer(model=model, args=arguments, train_dataset=data)
"""


@needs_transformers
def test_trainer_sees_each_row_once_an_epoch(path, tmp_path):
    (steps,) = run(
        TRAINER + "trainer(num_train_epochs=2).train()\n",
        path,
        tmp_path,
    )
    half = len(steps) // 2
    first, second = rows_of([steps[:half]]), rows_of([steps[half:]])
    assert first == second == Counter(range(ROWS))
    assert steps[:half] != steps[half:]


@needs_transformers
@pytest.mark.parametrize("dispatch", ["None", "False"])
def test_trainer_on_two_ranks_sees_each_row(path, tmp_path, dispatch):
    seen = run(
        TRAINER
        + f"""
options = {{"dispatch_batches": {dispatch}, "even_batches": {dispatch} is None}}
trainer(num_train_epochs=1, accelerator_config=options).train()
""",
        path,
        tmp_path,
        processes=2,
    )
    found = rows_of(seen)
    assert set(found) == set(range(ROWS))
    assert len(seen[0]) == len(seen[1])
    # Rank 0 fills up the last step where it hands out, so that it divides.
    last = Counter(seen[0][-1] + seen[1][-1])
    assert rows_of([seen[0][:-1], seen[1][:-1]]) <= Counter(range(ROWS))
    assert sum(found.values()) - ROWS <= (sum(last.values()) if dispatch == "None" else 0)
